// Every word of the page in Chinese and English; the browser's language decides until one chooses.

const WORDS = {
  zh: {
    other: "English", otherCode: "en",
    title: "谁来负责", hotspots: "热点地图", skip: "跳到结果", copy: "复制链接", copied: "已复制", print: "打印",
    map: "地图", mapHelp: "方向键移动地图，加减键缩放，回车键查询地图中心。点击地图查询该点。",
    layers: "图层", tiling: "分区", overlay: "地物与专项", tooMany: "放大后显示",
    zoomIn: "放大", zoomOut: "缩小",
    place: "坐标（经度, 纬度）", placeBad: "请按“经度, 纬度”输入两个数，例如 116.4605, 39.9255",
    ask: "查询", more: "类别、时间、定位误差", category: "问题类别", anyCategory: "不限类别",
    event: "事件", component: "部件", time: "时间", now: "现在", accuracy: "定位误差（米）",
    intro: "点击地图上任意一点，查看这里由谁负责、为什么。",
    introKeys: "也可以输入坐标；或用键盘选中地图，移动后按回车查询中心点。",
    asking: "正在查询…",
    responsible: "责任主体", management: "管理主体", enforcement: "执法主体",
    lead: "主办", assistant: "协办", supervisor: "监督主体", supervision: "监督主体",
    responsibility: "责任主体",
    nobody: "空缺", noAssistant: "暂无协办",
    absent: "不在岗", off_shift: "不当班", ownAssistant: "本区域协办", pairOf: (area) => `来自${area}`,
    standsIn: (name, why, who) => `代${name}（${why}）顶岗，${who}`,
    vacant: (names) => `此处无人担任：${names}`,
    edge: "距边界", escalation: "逐级上报", within: (t) => `${t}内处置`,
    where: "所在区域", also: "另有",
    inside: (m, area) => `距${area}边界 ${m}`,
    across: (area) => `边界另一侧：${area}`,
    acrossNothing: "边界另一侧没有同层区域",
    componentOwner: "部件权属单位", nearComponents: "附近的部件",
    componentAway: (m, owner) => `相距 ${m}，权属单位 ${owner}`,
    unclearSeveral: "权属不清：附近的部件属于不同单位", unclearNone: "权属不清：附近没有登记的部件",
    ambiguous: "此点紧邻边界，可能属于相邻区域",
    alternatives: "其他可能", alternativesNote: "误差范围内各区域所占比例",
    own: "本答案", record: "记录", revision: "数据版本", at: "时刻", point: "坐标（WGS-84）",
    stale: "数据库暂时无法连接；这是最近一次保存的版本。",
    outside: "此点在服务范围之外", nearest: (area, m) => `最近的是${area}，相距 ${m}`,
    problem: "无法回答", loading: "正在加载…", unreachable: "服务没有回应，请检查网络后再试。",
    layersFailed: "图层没有加载出来", reload: "重试",
    keyTitle: "需要密钥", keyText: "请输入接口密钥。密钥只保存在当前标签页，不会写入链接。",
    key: "密钥", cancel: "取消", use: "使用",
    separator: "、", named: (layer, name) => `“${name}”（${layer}）`,
    problems: {
      "bad-coordinates": "坐标无法使用", "swapped-coordinates": "经度和纬度颠倒了",
      "default-point": "这是没有具体位置的投诉统一登记的默认点，不作分派",
      "unknown-category": "没有这个类别", "before-first-revision": "早于第一个数据版本",
      "crs-not-accepted": "不接受这种坐标系", "invalid-input": "输入有误",
      "key-refused": "需要有效的接口密钥", "scope-missing": "该密钥没有此权限",
      "nothing-published": "还没有发布任何数据", "database-unavailable": "数据库没有回应",
      "took-too-long": "查询超时", "internal-error": "服务内部错误",
    },
  },
  en: {
    other: "中文", otherCode: "zh",
    title: "Who answers here", hotspots: "Hotspots", skip: "Skip to the answer", copy: "Copy link", copied: "Copied",
    print: "Print",
    map: "Map", mapHelp: "Arrow keys move the map, plus and minus zoom, Enter asks about its centre. "
      + "Click the map to ask about a point.",
    layers: "Layers", tiling: "Divisions", overlay: "Places", tooMany: "zoom in",
    zoomIn: "Zoom in", zoomOut: "Zoom out",
    place: "Coordinates (longitude, latitude)",
    placeBad: "Give two numbers, longitude then latitude, such as 116.4605, 39.9255",
    ask: "Ask", more: "Category, time, accuracy", category: "Category", anyCategory: "Any category",
    event: "Events", component: "Components", time: "Time", now: "Now",
    accuracy: "Accuracy of the point (m)",
    intro: "Click any point on the map to see who answers for it, and why.",
    introKeys: "Or type coordinates; or focus the map, move it and press Enter to ask about its centre.",
    asking: "Asking…",
    responsible: "Responsible", management: "Management", enforcement: "Enforcement",
    lead: "Lead", assistant: "Assistant", supervisor: "Supervisor", supervision: "Supervision",
    responsibility: "Responsible",
    nobody: "Vacant", noAssistant: "No assistant",
    absent: "absent", off_shift: "off shift", ownAssistant: "assistant here",
    pairOf: (area) => `from ${area}`,
    standsIn: (name, why, who) => `Stands in for ${name} (${why}); ${who}`,
    vacant: (names) => `Nobody holds here: ${names}`,
    edge: "Edge", escalation: "Escalation", within: (t) => `within ${t}`,
    where: "Areas here", also: "also",
    inside: (m, area) => `${m} from the edge of ${area}`,
    across: (area) => `Across it: ${area}`,
    acrossNothing: "No area of this layer lies across it",
    componentOwner: "Owner of the component", nearComponents: "Components near",
    componentAway: (m, owner) => `${m} away, of ${owner}`,
    unclearSeveral: "Ownership unclear: those near belong to several owners",
    unclearNone: "Ownership unclear: none is registered near",
    ambiguous: "Close to an edge: a neighbour may answer instead",
    alternatives: "It could also be", alternativesNote: "Share of the circle of error in each area",
    own: "This answer", record: "Record", revision: "Revision", at: "Moment", point: "Point (WGS-84)",
    stale: "The database is out of reach; this is the last state that was kept.",
    outside: "This point lies outside the service area",
    nearest: (area, m) => `The nearest is ${area}, ${m} away`,
    problem: "No answer", loading: "Loading…",
    unreachable: "The service does not reply. Check the network and try again.",
    layersFailed: "The layers did not load", reload: "Try again",
    keyTitle: "A key is needed",
    keyText: "Enter an API key. It stays in this tab only and is never part of a link.",
    key: "Key", cancel: "Cancel", use: "Use",
    separator: ", ", named: (layer, name) => `${layer} ${name}`,
    problems: {},
  },
};

const CHOICE = "gridsvc-language";
let language = localStorage.getItem(CHOICE)
  ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");
if (!(language in WORDS)) language = "en";

export const current = () => language;

/** The word for a key in the language chosen; some take what they speak of. */
export function t(key, ...values) {
  const word = WORDS[language][key];
  return typeof word === "function" ? word(...values) : word;
}

/** A title as the scheme gives it, {zh, en}; the other language where one is missing. */
export const title = (titles) => titles?.[language] || titles?.zh || titles?.en || "";

export function toggle() {
  language = WORDS[language].otherCode;
  localStorage.setItem(CHOICE, language);
}

/** Put the words into every element that names one. */
export function translatePage() {
  document.documentElement.lang = language;
  document.title = t("title");
  for (const element of document.querySelectorAll("[data-i18n]")) {
    element.textContent = t(element.dataset.i18n);
  }
}

/** Metres as people say them: 0.42 m, 12.3 m, 340 m, 1.2 km. */
export function metres(distance_m) {
  const km = distance_m >= 1000;
  const value = km ? distance_m / 1000 : distance_m;
  const digits = value < 1 ? 2 : value < 100 ? 1 : 0;
  const [metre, kilometre] = language === "zh" ? ["米", "公里"] : ["m", "km"];
  // Number and unit stay on one line.
  return `${Number(value.toFixed(digits))}\u00a0${km ? kilometre : metre}`;
}

const UNITS = {
  zh: { D: "个工作日", H: "小时", m: "分钟", S: "秒" },
  en: { D: "working day", H: "hour", m: "minute", S: "second" },
};

/** A time limit in words: PT4H is 4 hours, P2D 2 working days; as it stands where it is none. */
export function duration(text) {
  const match = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$/.exec(text ?? "");
  if (!match) return text ?? "";
  const parts = ["D", "H", "m", "S"].flatMap((unit, i) => {
    const n = match[i + 1];
    if (!n) return [];
    const word = UNITS[language][unit];
    return language === "zh" ? [`${n} ${word}`] : [`${n} ${word}${n === "1" ? "" : "s"}`];
  });
  return parts.join(" ") || text;
}

/** An instant in the city's own time. */
export function instant(at, timeZone) {
  return new Intl.DateTimeFormat(language === "zh" ? "zh-CN" : "en-GB", {
    dateStyle: "medium", timeStyle: "short", timeZone,
  }).format(new Date(at));
}

/** The city's wall clock for an instant, as an input of type datetime-local takes it. */
export function wallClock(at, timeZone) {
  const parts = Object.fromEntries(new Intl.DateTimeFormat("en-GB", {
    timeZone, hourCycle: "h23",
    year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit",
  }).formatToParts(new Date(at)).map(({ type, value }) => [type, value]));
  return `${parts.year}-${parts.month}-${parts.day}T${parts.hour}:${parts.minute}`;
}

/** The instant of a wall clock in the city, in UTC; the earlier one where clocks go back. */
export function fromWallClock(local, timeZone) {
  const wanted = Date.parse(`${local}Z`);
  // An offset is known only at an instant: try it on either side of the guess.
  const offset = (t) => Date.parse(`${wallClock(t, timeZone)}Z`) - Math.floor(t / 60000) * 60000;
  const guesses = [wanted - offset(wanted - 86400000), wanted - offset(wanted + 86400000)];
  const right = guesses.filter((g) => Date.parse(`${wallClock(g, timeZone)}Z`) === wanted);
  const instants = right.length ? right : guesses;
  return new Date(Math.min(...instants)).toISOString().replace(".000Z", "Z");
}
