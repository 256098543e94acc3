// What is drawn: areas, boundaries, the surface, marks, the legend. Text is only ever set as text.

/** Make an element; null and false children are left out. */
function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** The same for a drawing. */
function s(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter(Boolean));
  return element;
}

const byId = (id) => document.getElementById(id);

/** Rings of each area as [lat, lon], from lists of counts and of differences. */
function shapes({ polygons, rings, points, x, y }, { origin, scale }) {
  let polygon = 0;
  let ring = 0;
  let point = 0;
  const place = () => {
    const at = [origin[1] + y[point] * scale, origin[0] + x[point] * scale];
    point += 1;
    return at;
  };
  return Array.from(polygons, (count) => Array.from({ length: count }, () => {
    const rims = rings[polygon];
    polygon += 1;
    return Array.from({ length: rims }, () => {
      const corners = points[ring];
      ring += 1;
      return Array.from({ length: corners }, place);
    });
  }));
}

/** The middle of each area's first ring, as [lon, lat]. */
function centres(latlngs) {
  return latlngs.map(([[ring]]) => {
    const lon = ring.reduce((sum, at) => sum + at[1], 0) / ring.length;
    return [lon, ring.reduce((sum, at) => sum + at[0], 0) / ring.length];
  });
}

const EDGE = { color: "#7d858d", weight: 0.6, opacity: 1, fillOpacity: 1 };

/** How an area looks that has the value of a class: the paler the fewer, none is dotted paper. */
const sequential = (number) => ({ ...EDGE, fillColor: number ? LOOKS.sequence[number - 1] : "url(#hatch-no_cases)" });

/** How an area of a kind looks: a colour and, so that nobody needs to see it, a hatching. */
const hatched = (kind) => ({ ...EDGE, fillColor: `url(#hatch-${kind})` });

function swatch(fill, { edge = EDGE.color, path = null } = {}) {
  return s("svg", { viewBox: "0 0 36 20", "aria-hidden": "true" },
    s("rect", { x: 0.5, y: 0.5, width: 35, height: 19, fill, stroke: edge }),
    path && s("path", { d: path, stroke: "#1c2733", "stroke-width": 2, fill: "none" }));
}

/** One block of the legend: a head and rows of a drawing and its meaning. */
function key(head, rows) {
  return h("div", { class: "key" }, h("p", { class: "head" }, head),
    rows.map(([drawing, text]) => [drawing, h("span", {}, text)]));
}

function steps(head, ends) {
  const rows = [[swatch("url(#hatch-no_cases)"), w().none]];
  let low = 0;
  const whole = ends.every(Number.isInteger);
  ends.forEach((end, index) => {
    const from = whole ? number(low + 1) : figure(low);
    rows.push([swatch(LOOKS.sequence[index]), w().upTo(from, whole ? number(end) : figure(end))]);
    low = end;
  });
  return key(head, rows);
}

function kindsKey(head, titles, present) {
  return key(head, Object.entries(titles).filter(([kind]) => present.has(kind))
    .map(([kind, told]) => [swatch(`url(#hatch-${kind})`), title(told)]));
}

/** A surface as an image over the map, within the city: bands of colour, a dark line round each. */
function surface({ values, width, height, bounds }, ends, city) {
  const canvas = h("canvas", { width, height, "aria-hidden": "true" });
  const pen = canvas.getContext("2d");
  const image = pen.createImageData(width, height);
  const band = Uint8Array.from(values, (value) => (value < ends[0] / 4 ? 0 : classOf(value, ends)));
  for (let at = 0; at < band.length; at += 1) {
    if (!band[at]) continue;
    const isEdge = band[at] > Math.min(band[at + 1] ?? 0, band[at - 1] ?? 0, band[at + width] ?? 0, band[at - width] ?? 0);
    const to = ((height - 1 - Math.floor(at / width)) * width + at % width) * 4;
    image.data.set([...(isEdge ? [70, 78, 88] : LOOKS.rgb[band[at] - 1]), 255], to);
  }
  pen.putImageData(image, 0, 0);
  pen.globalCompositeOperation = "destination-in";
  pen.fill(path(city, { width, height, bounds }), "evenodd");
  // An overlay takes any element; a canvas needs no address that a policy would have to allow.
  return L.svgOverlay(canvas, [[bounds[1], bounds[0]], [bounds[3], bounds[2]]], { interactive: false });
}

/** The outline of areas on a raster. */
function path(areas, { width, height, bounds: [west, south, east, north] }) {
  const drawn = new Path2D();
  for (const ring of areas.flat(2)) {
    ring.forEach(([lat, lon], corner) => {
      const at = [(lon - west) / (east - west) * width, (north - lat) / (north - south) * height];
      if (corner) drawn.lineTo(...at);
      else drawn.moveTo(...at);
    });
    drawn.closePath();
  }
  return drawn;
}

function diamond(size) {
  const half = size / 2;
  return s("svg", { width: size, height: size, viewBox: `${-half} ${-half} ${size} ${size}` },
    s("path", { d: `M0 ${-half + 1}L${half - 1} 0L0 ${half - 1}L${-half + 1} 0Z`, fill: "#1c2733", stroke: "#ffffff", "stroke-width": 1.5 }));
}

/** A chronic place: a black diamond with its number of cases, the larger the higher its score. */
function chronicMark(place) {
  const size = 24 + Math.round(place.score / 100 * 12);
  const drawing = diamond(size);
  drawing.append(s("text", { "text-anchor": "middle", "dominant-baseline": "central", fill: "#ffffff", "font-size": 11, "font-weight": 700 }));
  drawing.lastChild.textContent = place.cases;
  return L.divIcon({ className: "chronic-mark", html: drawing, iconSize: [size, size] });
}

const rankMark = (rank) => L.divIcon({
  className: "rank-mark", html: h("span", {}, rank), iconSize: [26, 26],
});

/** Cases by month as small bars; the months shown are darker. */
function bars(history, months, first, last) {
  const most = history.reduce((a, b) => Math.max(a, b), 1);
  const drawing = s("svg", { class: "bars", viewBox: `0 0 ${history.length * 6} 40`, preserveAspectRatio: "none", role: "img" });
  drawing.setAttribute("aria-label", `${w().history}: ${Array.from(history, (n, i) => w().monthOf(months[i], n)).join(w().and)}`);
  history.forEach((cases, month) => {
    const height = cases / most * 38;
    drawing.append(s("rect", { x: month * 6, y: 40 - height, width: 5, height, class: month >= first && month <= last ? "now" : "" }));
  });
  return drawing;
}

const pair = (name, value) => [h("dt", {}, name), h("dd", {}, value)];
