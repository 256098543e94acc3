// An Answer is read from the top: who, why, the other duties, then what it all rests on.

import { h } from "./dom.js";
import { current, duration, instant, metres, t, title } from "./i18n.js";

/** What the page knows of the city: titles of layers and roles, names of categories, its clock. */
export class City {
  constructor({ layers }, { title: name, time_zone: timeZone, extent, roles, categories }) {
    this.name = name;
    this.extent = extent;
    this.timeZone = timeZone;
    this.layers = layers;
    this.titles = new Map(layers.map((l) => [l.code, l.title]));
    this.roles = new Map(roles.map((r) => [r.code, r.title]));
    this.categories = categories;
  }

  layer(code) {
    return title(this.titles.get(code)) || code;
  }

  role(code) {
    if (code === "component_owner") return t("componentOwner");
    return title(this.roles.get(code)) || code;
  }

  category(code) {
    const found = this.categories.find((c) => c.code === code);
    return found ? `${title(found.title)} (${code})` : code;
  }

  /** The title of a category that the API calls by its English name. */
  categoryNamed(name) {
    return title(this.categories.find((c) => c.title?.en === name)?.title) || name;
  }

  /** "Courtyard 平安里" for sentences; in Chinese “平安里”（院落）. */
  area(area) {
    return t("named", this.layer(area.layer), area.name ?? area.code);
  }

  /** The API's reason; in Chinese, its known turns of phrase are put into Chinese. */
  reason(text) {
    if (current() !== "zh") return text;
    const duties = { responsibility: t("responsibility"), management: t("management"),
      enforcement: t("enforcement"), supervision: t("supervision") };
    const named = (list) => list.split(", ").map((item) => {
      const [layer, ...code] = item.split(" ");
      return `${this.layer(layer)} ${code.join(" ")}`;
    }).join(t("separator"));
    return text
      .replace(/^locality \(属地兜底\): (\S+) is the last rung/, (_, l) => `属地兜底：${this.layer(l)}是最后一级`)
      .replace(/^(\S+) covers the point/, (_, l) => `此点位于${this.layer(l)}内`)
      .replace(/, specialist for category (\S+?)(?=;|$)/, (_, c) => `，负责${this.category(c)}的专业力量`)
      .replace(/; the lead is (absent|off shift), the assistant stands in/,
        (_, why) => `；主办${t(why === "absent" ? "absent" : "off_shift")}，由协办顶岗`)
      .replace(/; the lead is (absent|off shift), the pair of (.+?) stands in(?=;|$)/,
        (_, why, area) => `；主办${t(why === "absent" ? "absent" : "off_shift")}，由${named(area)}的人员顶岗`)
      .replace(/^owner of the nearest (.+), ([\d.]+) m away/,
        (_, name, m) => `距离最近的${this.categoryNamed(name)}（${metres(Number(m))}）的权属单位`)
      .replace(/^ownership unclear: the nearest ones belong to several owners/, () => t("unclearSeveral"))
      .replace(/^ownership unclear: no (.+?) within ([\d.]+) m(?=;|$)/,
        (_, name, m) => `权属不清：${metres(Number(m))}内没有登记的${this.categoryNamed(name)}`)
      .replace(/; (\S+) covers the point/, (_, l) => `；此点位于${this.layer(l)}内`)
      .replace(/; nobody is on duty for (\w+) at (.+)$/, (_, d, list) => `；${named(list)}无人在岗（${duties[d] ?? d}）`);
  }
}

function phone(party) {
  if (!party.phone) return null;
  if (party.phone.includes("*")) return h("span", { class: "phone" }, party.phone);
  return h("a", { class: "phone", href: `tel:${party.phone}` }, party.phone);
}

function areaLine(city, area) {
  return [
    h("span", { class: "layer" }, city.layer(area.layer)), " ",
    h("span", { class: "area" }, area.name ?? area.code), " ",
    area.name ? h("span", { class: "code" }, area.code) : null,
  ];
}

/** "Stands in for Li, absent; of Street 乙街道". */
function standsIn(city, { for: away, why, by, from }) {
  return t("standsIn", away.name, t(why), by === "assistant" ? t("ownAssistant") : t("pairOf", city.area(from)));
}

function holder(city, held, { main = false } = {}) {
  const { party, role, area, stand_in: standIn, reason } = held;
  return h("div", { class: main ? "holder main" : "holder" },
    h("p", { class: "who" },
      h("strong", { class: "name" }, party.name), " ",
      h("span", { class: "role" }, city.role(role)), " ", phone(party)),
    area ? h("p", { class: "place" }, areaLine(city, area)) : null,
    standIn ? h("p", { class: "stand-in" }, standsIn(city, standIn)) : null,
    reason ? h("p", { class: "reason" }, city.reason(reason)) : null);
}

function duty(city, label, held, { sub = null, none = t("nobody") } = {}) {
  return h("div", { class: "duty" }, h("dt", {}, label, sub ? h("span", { class: "sub" }, sub) : null),
    h("dd", {}, held ? holder(city, held) : h("p", { class: "nobody" }, none)));
}

function section(name, heading, ...content) {
  return h("section", { class: name }, h("h3", {}, heading), ...content);
}

function enforcement(city, pair) {
  if (!pair) return [duty(city, t("enforcement"), null)];
  // The two share an area, so they share its reason, and stand in together.
  const assistant = pair.assistant && { ...pair.assistant, reason: null, stand_in: null };
  return [
    duty(city, t("enforcement"), pair.lead, { sub: t("lead") }),
    duty(city, t("enforcement"), assistant, { sub: t("assistant"), none: t("noAssistant") }),
  ];
}

function escalation(city, steps) {
  return section("escalation", t("escalation"), h("ol", {}, steps.map((step) => h("li", {},
    h("p", { class: "who" },
      step.party
        ? [h("strong", {}, step.party.name), " ", h("span", { class: "role" }, city.role(step.role))]
        : h("span", { class: "nobody" }, `${t(step.duty) ?? ""} ${t("nobody")}`),
      " ", h("span", { class: "within" }, t("within", duration(step.within)))),
    step.area ? h("p", { class: "place" }, areaLine(city, step.area)) : null,
    step.stand_in ? h("p", { class: "stand-in" }, standsIn(city, step.stand_in)) : null))));
}

function components({ component, candidates, tier }) {
  if (!component && !tier) return null;
  const line = (c) => [h("span", { class: "code" }, c.code), " ",
    t("componentAway", metres(c.distance_m), c.owner.name)];
  return section("components", t("nearComponents"),
    component ? h("p", {}, line(component)) : null,
    tier ? h("p", { class: "warning" }, t(candidates.length ? "unclearSeveral" : "unclearNone")) : null,
    candidates.length ? h("ul", {}, candidates.map((c) => h("li", {}, line(c)))) : null);
}

function edge(city, { distance_m: distance, of, across }, isAmbiguous) {
  if (distance === null || distance === undefined || !of) return null;
  return section("edge", t("edge"),
    isAmbiguous ? h("p", { class: "warning" }, t("ambiguous")) : null,
    h("p", {}, t("inside", metres(distance), city.area(of))),
    h("p", {}, across ? t("across", city.area(across)) : t("acrossNothing")));
}

function alternatives(city, answer) {
  if (!answer.alternatives.length) return null;
  const percent = (p) => `${(100 * p).toFixed(p < 0.1 ? 1 : 0)} %`;
  const row = (probability, ...what) => h("li", {},
    h("span", { class: "share" }, percent(probability)),
    h("progress", { max: 1, value: probability, "aria-hidden": "true" }), h("div", {}, what));
  return section("alternatives", t("alternatives"), h("p", { class: "note" }, t("alternativesNote")),
    h("ul", {},
      [{ probability: answer.probability, own: true }, ...answer.alternatives]
        .filter(({ probability }) => typeof probability === "number")
        .sort((a, b) => b.probability - a.probability)
        .map(({ probability, own, area, responsible }) => (own
          ? row(probability, h("em", {}, t("own")))
          : row(probability,
            h("p", { class: "who" }, responsible
              ? [h("strong", {}, responsible.party.name), " ", h("span", { class: "role" }, city.role(responsible.role))]
              : h("span", { class: "nobody" }, t("nobody"))),
            h("p", { class: "place" }, areaLine(city, area)))))));
}

function where(city, areas) {
  const rows = city.layers.filter((l) => areas[l.code]).map(({ code }) => {
    const { also = [], ...area } = areas[code];
    return [h("dt", {}, city.layer(code)), h("dd", {}, area.name ? `${area.name} ` : "",
      h("span", { class: "code" }, area.code),
      also.length ? h("span", { class: "also" }, ` ${t("also")} ${also.map((a) => a.name ?? a.code).join(t("separator"))}`) : null)];
  });
  return section("where", t("where"), h("dl", { class: "pairs" }, rows));
}

function record(city, answer) {
  const { lon, lat } = answer.point;
  const pair = (label, ...value) => [h("dt", {}, label), h("dd", {}, ...value)];
  return section("record", t("record"), h("dl", { class: "pairs" },
    pair(t("revision"), h("span", { class: "revision" }, String(answer.revision))),
    pair(t("at"), h("time", { datetime: answer.at }, instant(answer.at, city.timeZone))),
    pair(t("point"), `${lon.toFixed(6)}, ${lat.toFixed(6)}`),
    answer.category ? pair(t("category"), city.category(answer.category)) : null,
    answer.input?.accuracy_m ? pair(t("accuracy"), String(answer.input.accuracy_m)) : null));
}

/** The whole Answer as elements. */
export function showAnswer(city, answer) {
  const names = answer.vacant.map((duty_) => t(duty_) ?? duty_).join(t("separator"));
  return h("article", { class: "found" },
    answer.stale ? h("p", { class: "warning" }, t("stale")) : null,
    answer.vacant.length ? h("p", { class: "warning vacant" }, t("vacant", names)) : null,
    h("section", { class: "responsible" }, h("h2", {}, t("responsible")),
      answer.responsible ? holder(city, answer.responsible, { main: true })
        : h("p", { class: "nobody" }, t("nobody"))),
    h("dl", { class: "duties" },
      duty(city, t("management"), answer.management),
      enforcement(city, answer.enforcement),
      duty(city, t("supervisor"), answer.supervisor)),
    components(answer),
    edge(city, answer.edge, answer.ambiguous),
    alternatives(city, answer),
    answer.escalation.length ? escalation(city, answer.escalation) : null,
    where(city, answer.areas),
    record(city, answer));
}

/** Faults of the input that the detail does not tell already. */
function faults({ detail = "", errors = [] }) {
  const untold = errors.filter(({ msg }) => !detail.includes(msg));
  if (!untold.length) return null;
  return h("ul", {}, untold.map(({ loc, msg }) => h("li", {}, `${[loc].flat().at(-1)}: ${msg}`)));
}

/** A refusal as elements; outside the city it tells the nearest area and its distance. */
export function showProblem(city, body) {
  const kind = (body.type ?? "").split(/[/:#]/).pop();
  if (kind === "outside-service-area") {
    const { nearest } = body;
    return h("article", { class: "refused outside" }, h("h2", {}, t("outside")),
      nearest ? [
        h("p", { class: "lead" }, t("nearest", city.area(nearest), metres(nearest.distance_m))),
        h("p", { class: "place" }, areaLine(city, nearest))] : null);
  }
  if (kind === "unreachable") {
    return h("article", { class: "refused" }, h("h2", {}, t("problem")), h("p", {}, t("unreachable")));
  }
  return h("article", { class: "refused" }, h("h2", {}, t("problem")),
    h("p", { class: "lead" }, t("problems")[kind] ?? body.title ?? ""), body.detail ? h("p", {}, body.detail) : null,
    faults(body),
    body.status ? h("p", { class: "note" }, `HTTP ${body.status}${kind && kind !== "blank" ? ` · ${kind}` : ""}`) : null);
}
