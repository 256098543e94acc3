// The page asks the same HTTP calls as any other client; a key, where one is needed, stays in the tab.

const ROOT = new URL("../", document.baseURI);
const KEY = "gridsvc-key";

/** What the service refused, as its problem+json says it. */
export class Problem extends Error {
  constructor(body) {
    super(body.detail || body.title);
    this.body = body;
  }
}

let waiting = null;
let ask = async () => null;

/** Say how a person is asked for a key; `ask` gives it, or null. */
export function onKeyNeeded(callback) {
  ask = callback;
}

async function askOnce() {
  waiting ??= ask().finally(() => { waiting = null; });
  const key = await waiting;
  if (key) sessionStorage.setItem(KEY, key);
  return Boolean(key);
}

/** GET a path below the service's root; undefined parameters are left out. */
export async function get(path, parameters = {}, { signal } = {}) {
  const url = new URL(path, ROOT);
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, value);
  }
  for (;;) {
    const key = sessionStorage.getItem(KEY);
    const headers = { Accept: "application/json, application/geo+json" };
    if (key) headers.Authorization = `Bearer ${key}`;
    let response;
    try {
      response = await fetch(url, { headers, signal });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem({ type: "unreachable", status: 0 });
    }
    if (response.status === 401 && await askOnce()) continue;
    const body = await response.json().catch(() => ({ status: response.status }));
    if (!response.ok) throw new Problem({ status: response.status, ...body });
    return body;
  }
}

/** GET a collection page by page, up to `most` features; `complete` says whether that was all. */
export async function getFeatures(parameters, { most, signal }) {
  const features = [];
  let path = "v1/areas";
  let query = { ...parameters, limit: Math.min(most, 1000) };
  for (;;) {
    const page = await get(path, query, { signal });
    features.push(...page.features);
    const next = page.links?.find((link) => link.rel === "next");
    if (!next) return { features, complete: true };
    if (features.length >= most) return { features, complete: false };
    // Only the query is taken: behind a proxy the service need not know its outer address.
    path = `v1/areas${new URL(next.href, ROOT).search}`;
    query = {};
  }
}
