// Boundaries are asked for by the piece of map in view, and only where they are few enough to read.

import { get, getFeatures } from "./api.js";
import { looks } from "./looks.js";

// An area needs about 20 by 20 pixels to be read; more of them are neither fetched nor drawn.
const PIXELS_PER_AREA = 400;
const FEWEST = 600;
const MOST = 3000;
const MARGIN = 0.15;
const UNNAMED = new Set(["street_segment", "shopfront"]);

const bboxOf = (b) => [b.getWest(), b.getSouth(), b.getEast(), b.getNorth()]
  .map((degrees) => degrees.toFixed(6)).join(",");

export class Boundaries {
  /**
   * @param {L.Map} map
   * @param {object[]} layers as GET /v1/layers gives them
   * @param {(code: string, state: "loading" | "shown" | "many" | "failed" | "off") => void} tell
   */
  constructor(map, layers, tell) {
    this.map = map;
    this.tell = tell;
    this.at = undefined;
    this.clear = null;
    this.labels = L.layerGroup().addTo(map);
    const styles = looks(layers);
    this.layers = new Map(layers.map(({ code }) => {
      const { swatch, outline, ...ground } = styles.get(code);
      const drawn = this.#canvas(`layer-${code}`, ground);
      const outlined = outline ? this.#canvas(`outline-${code}`, outline) : null;
      return [code, { code, drawn, outlined, swatch, on: false, held: null, tooMany: null, pending: null }];
    }));
    let timer;
    map.on("moveend", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.refresh(), 120);
    });
  }

  #canvas(pane, { z, style }) {
    this.map.createPane(pane).style.zIndex = z;
    const renderer = L.canvas({ pane, padding: 0.2 });
    return L.geoJSON(null, { pane, renderer, style, interactive: false, smoothFactor: 0.6 }).addTo(this.map);
  }

  get on() {
    return [...this.layers.values()].filter((l) => l.on).map((l) => l.code);
  }

  swatch(code) {
    return this.layers.get(code).swatch;
  }

  /** Switch layers at once; what they draw follows, and unknown ones are passed over. */
  async set(codes, on) {
    for (const layer of codes.map((code) => this.layers.get(code)).filter(Boolean)) {
      layer.on = on;
      if (!on) {
        this.#stop(layer);
        this.#clear(layer);
        this.tell(layer.code, "off");
      }
    }
    await this.refresh();
  }

  /** Show the boundaries of another instant; undefined is now. */
  async setAt(at) {
    if (at === this.at) return;
    this.at = at;
    for (const layer of this.layers.values()) {
      this.#stop(layer);
      layer.held = null;
      layer.tooMany = null;
    }
    await this.refresh();
  }

  async refresh() {
    await Promise.all([...this.layers.values()].filter((l) => l.on).map((l) => this.#load(l)));
    this.#label();
  }

  #clear(layer) {
    layer.drawn.clearLayers();
    layer.outlined?.clearLayers();
    layer.held = null;
  }

  #stop(layer) {
    layer.pending?.abort.abort();
    layer.pending = null;
  }

  async #load(layer) {
    const view = this.map.getBounds();
    if (layer.pending?.asked.contains(view)) return layer.pending.done;
    this.#stop(layer);
    if (layer.held?.contains(view)) {
      this.tell(layer.code, "shown");
      return undefined;
    }
    // Where a part of this view was too full, the whole is.
    if (layer.tooMany && view.contains(layer.tooMany)) {
      this.#clear(layer);
      this.tell(layer.code, "many");
      return undefined;
    }
    const asked = view.pad(MARGIN);
    const abort = new AbortController();
    const done = this.#fetch(layer, asked, abort.signal).finally(() => {
      if (layer.pending?.abort === abort) layer.pending = null;
    });
    layer.pending = { asked, abort, done };
    return done;
  }

  async #fetch(layer, asked, signal) {
    const size = this.map.getSize();
    const most = Math.min(MOST, Math.max(FEWEST, Math.round((size.x * size.y) / PIXELS_PER_AREA)));
    this.tell(layer.code, "loading");
    try {
      const { features, complete } = await getFeatures(
        { layer: layer.code, bbox: bboxOf(asked), at: this.at }, { most, signal },
      );
      if (signal.aborted) return;
      this.#clear(layer);
      layer.held = complete ? asked : null;
      layer.tooMany = complete ? null : asked;
      const found = complete ? { type: "FeatureCollection", features } : [];
      layer.drawn.addData(found);
      layer.outlined?.addData(found);
      this.tell(layer.code, complete ? "shown" : "many");
    } catch (error) {
      if (error.name !== "AbortError") this.tell(layer.code, "failed");
    }
  }

  /** Keep names off a point. */
  keepClear(latlng) {
    this.clear = latlng;
    this.#label();
  }

  /** Bounds of what a layer shows, or null. */
  bounds(code) {
    const bounds = this.layers.get(code)?.drawn.getBounds();
    return bounds?.isValid() ? bounds : null;
  }

  /** One area's feature, in the instant shown. */
  one({ layer, code }, { signal } = {}) {
    const path = `v1/areas/${encodeURIComponent(layer)}/${encodeURIComponent(code)}`;
    return get(path, { at: this.at }, { signal });
  }

  /** Name areas whose name fits into them, from the outside in, never two over each other. */
  #label() {
    this.labels.clearLayers();
    const size = this.map.getSize();
    const taken = [];
    if (this.clear) {
      const { x, y } = this.map.latLngToContainerPoint(this.clear);
      taken.push([x - 9, y - 9, x + 9, y + 9]);
    }
    for (const layer of this.layers.values()) {
      if (!layer.on || UNNAMED.has(layer.code)) continue;
      const rank = Math.min([...this.layers.keys()].indexOf(layer.code), 3);
      layer.drawn.eachLayer((area) => {
        const { name } = area.feature.properties;
        if (!name || taken.length >= 120) return;
        const bounds = area.getBounds();
        const nw = this.map.latLngToContainerPoint(bounds.getNorthWest());
        const se = this.map.latLngToContainerPoint(bounds.getSouthEast());
        const half = [...name].reduce((w, c) => w + (c.charCodeAt(0) > 255 ? 7 : 4), 4);
        const [width, height] = [se.x - nw.x, se.y - nw.y];
        if (width < 2.1 * half || height < 24) return;
        // One sees into an area too large for the view; its name would stand anywhere.
        if (width > 2 * size.x && height > 2 * size.y) return;
        const at = this.map.latLngToContainerPoint(area.getCenter());
        if (at.x < half || at.y < 10 || at.x > size.x - half || at.y > size.y - 10) return;
        const box = [at.x - half, at.y - 10, at.x + half, at.y + 10];
        if (taken.some((o) => o[0] < box[2] && box[0] < o[2] && o[1] < box[3] && box[1] < o[3])) return;
        taken.push(box);
        const span = document.createElement("span");
        span.textContent = name;
        const icon = L.divIcon({ className: `area-name rank-${rank}`, html: span, iconSize: [0, 0] });
        L.marker(area.getCenter(), { icon, interactive: false, keyboard: false }).addTo(this.labels);
      });
    }
  }
}
