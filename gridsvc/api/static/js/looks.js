// How layers look: quiet ground first, then boundaries whose weight falls with depth.

const GROUND = {
  open_space: { stroke: false, fill: true, fillColor: "#d9e7d0", fillOpacity: 1 },
  street_segment: { color: "#d5d4cd", weight: 0.6, fill: true, fillColor: "#ffffff", fillOpacity: 1 },
  courtyard: { color: "#d8cfb8", weight: 0.6, fill: true, fillColor: "#f0ebde", fillOpacity: 1 },
  building: { color: "#c4bcae", weight: 0.6, fill: true, fillColor: "#ded8cc", fillOpacity: 1 },
  shopfront: { color: "#c98a3d", weight: 0.8, fill: true, fillColor: "#eec58c", fillOpacity: 0.75 },
};
const ORDER = Object.keys(GROUND);
// Named after what they are in either language: water among the open spaces is not green.
const WATER = /[河湖渠塘江]|水域|\b(river|lake|canal|pond|creek|reservoir)\b/i;
const WATER_COLOUR = "#c6dcea";

const NESTED = [
  { color: "#3d4f63", weight: 3, opacity: 0.9 },
  { color: "#5d6fa3", weight: 2.2, opacity: 0.9 },
  { color: "#7f8fc0", weight: 1.4, opacity: 0.9 },
  { color: "#a9afbd", weight: 0.7, opacity: 0.9 },
];
const LAND = { stroke: false, fill: true, fillColor: "#f6f4ee", fillOpacity: 1 };
const CROSSING = ["#00796b", "#8e4585", "#a0522d", "#56761c", "#b0405b", "#37718e"];

/** Tiling layers from the outside in, along the deepest nesting; equals by their position. */
export function mainChain(layers) {
  const tilings = layers.filter((l) => l.kind === "tiling");
  const longest = (parent) => tilings.filter((l) => (l.parent ?? null) === parent)
    .map((l) => [l, ...longest(l.code)])
    .reduce((best, chain) => (chain.length > best.length ? chain : best), []);
  return longest(null);
}

/** Give each layer its pane's height and its style, a function of the feature. */
export function looks(layers) {
  const chain = mainChain(layers);
  const others = layers.filter((l) => !chain.includes(l) && !(l.code in GROUND));
  return new Map(layers.map((layer) => {
    const depth = chain.indexOf(layer);
    if (depth === 0) {
      // The land lies below everything, its outline above every line within.
      const outline = { z: 345, style: { ...NESTED[0], fill: false } };
      return [layer.code, { z: 200, style: LAND, outline, swatch: NESTED[0].color }];
    }
    if (depth > 0) {
      const style = { ...NESTED[Math.min(depth, NESTED.length - 1)], fill: false };
      return [layer.code, { z: 340 - depth, style, swatch: style.color }];
    }
    if (layer.code in GROUND) {
      const style = GROUND[layer.code];
      const z = 210 + ORDER.indexOf(layer.code);
      const swatch = style.fillColor === "#ffffff" ? style.color : style.fillColor;
      if (layer.code !== "open_space") return [layer.code, { z, style, swatch }];
      const coloured = (feature) => (WATER.test(feature.properties.name ?? "")
        ? { ...style, fillColor: WATER_COLOUR } : style);
      return [layer.code, { z, style: coloured, swatch }];
    }
    const color = CROSSING[others.indexOf(layer) % CROSSING.length];
    const fill = layer.kind === "overlay";
    const style = { color, weight: 1.6, dashArray: fill ? null : "7 5", fill, fillColor: color, fillOpacity: 0.12 };
    return [layer.code, { z: 300 + others.indexOf(layer), style, swatch: color }];
  }));
}

/** The layers a newcomer sees: the main nesting, and what makes the ground look like a city. */
export function firstLayers(layers) {
  const chain = mainChain(layers);
  return layers.filter((l) => chain.includes(l) || l.code in GROUND).map((l) => l.code);
}

export const ANSWER = { color: "#0b5cad", weight: 3, fillColor: "#2b7fd6", fillOpacity: 0.16 };
export const ACROSS = { color: "#b4530a", weight: 2.5, dashArray: "6 5", fill: false };
export const NEAREST = { color: "#b4530a", weight: 3, fillColor: "#e08a3c", fillOpacity: 0.12 };
export const POINT = { radius: 7, color: "#ffffff", weight: 2.5, fillColor: "#0b5cad", fillOpacity: 1 };
export const ERROR_CIRCLE = { color: "#0b5cad", weight: 1.2, dashArray: "3 3", fillOpacity: 0.07 };
