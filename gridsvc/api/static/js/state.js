// What is asked and seen lives in the URL's fragment: a link repeats it, and no server logs it.

const NUMBERS = ["lon", "lat", "zoom", "accuracy_m"];

/** Read the fragment; what is absent or no number is undefined. */
export function read() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const state = {};
  for (const name of NUMBERS) {
    const text = fragment.get(name);
    if (text !== null && text !== "" && Number.isFinite(Number(text))) state[name] = Number(text);
  }
  for (const name of ["at", "category"]) state[name] = fragment.get(name) || undefined;
  if (fragment.has("layers")) state.layers = fragment.get("layers").split(",").filter(Boolean);
  return state;
}

/** Write the fragment in place; moving the map must not fill the browser's history. */
export function write(state) {
  const fragment = new URLSearchParams();
  for (const name of ["lon", "lat", "zoom", "layers", "category", "at", "accuracy_m"]) {
    const value = state[name];
    if (value !== undefined && value !== null) fragment.set(name, String(value));
  }
  // Commas and colons are allowed in a fragment; a link that people read keeps them.
  const text = fragment.toString().replaceAll("%2C", ",").replaceAll("%3A", ":");
  history.replaceState(null, "", `#${text}`);
}
