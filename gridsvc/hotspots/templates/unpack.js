// Undoes what gridsvc/hotspots/packing.py does: JSON whose lists of numbers follow as varints.

const PLAIN = 0;
const DIFFERENCES = 2;

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Read a packed document; lists of numbers become Float64Array, which counts to 2**53. */
async function unpack(packed) {
  const bytes = await inflate(packed);
  const size = new DataView(bytes.buffer).getUint32(0, true);
  const head = new TextDecoder().decode(bytes.subarray(4, 4 + size));
  const lists = bytes.subarray(4 + size);
  return JSON.parse(head, (_, value) => {
    const told = value?.["@"];
    return Array.isArray(told) ? numbers(lists, ...told) : value;
  });
}

function numbers(bytes, first, count, way) {
  const values = new Float64Array(count);
  let at = first;
  let sum = 0;
  for (let i = 0; i < count; i += 1) {
    let value = 0;
    let scale = 1;
    let byte;
    do {
      byte = bytes[at];
      at += 1;
      value += (byte & 127) * scale;
      scale *= 128;
    } while (byte > 127);
    if (way !== PLAIN) value = value % 2 ? -(value + 1) / 2 : value / 2;
    if (way === DIFFERENCES) {
      sum += value;
      value = sum;
    }
    values[i] = value;
  }
  return values;
}

function fromBase64(text) {
  const binary = atob(text.trim());
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i += 1) bytes[i] = binary.charCodeAt(i);
  return bytes;
}
