// Every word that the page puts together itself, in Chinese and English; the rest stands in its HTML.

const WORDS = {
  zh: {
    other: "English", otherCode: "en",
    all: "全部类别", without: "（未分类）", whole: "全部时间", last12: "最近 12 个月", year: (y) => `${y} 年`, own: "自选起止月…",
    wholePeriod: "整个时段", play: "播放", stop: "停止", zoomIn: "放大", zoomOut: "缩小",
    shown: (cases, category, when) => `${category} · ${when} · ${cases} 件`,
    month: (y, m) => `${y} 年 ${m} 月`,
    cases: "案件", ofThem: "占全部", perKm2: "每平方公里", verdict: "判断", z: "z 值", q: "q 值（校正后）", untestedHere: "此选择未作检验",
    untestedWhy: (least) => `此类别与时段未作检验：案件少于 ${least} 件，起止月是自选的，或区域太多。请选“全部时间”、某一年、最近 12 个月或某一个月。`,
    none: "0 件", upTo: (a, b) => (a === b ? a : `${a} – ${b}`), countKey: "每个区域的案件数", rateKey: "每平方公里案件数",
    densityKey: (b) => `案件密度（每平方公里，核带宽 ${b} 米）`, significanceKey: "Gi* 检验（校正后的 q 值）", patternKey: "随时间的规律",
    noPatterns: "此选择没有时间规律：月数不足或未作检验。",
    chronicKey: "顽疾点及其案件数（放大后显示更多）", rankKey: "热点及其名次", outlineKey: "边界",
    history: "逐月案件数", monthOf: (m, n) => `${m}：${n} 件`,
    chronic: (n) => `${n} 件，反复出现`, score: "顽疾分（0–100）", median: "复发间隔中位数", days: (d) => `${d} 天`, sinceClosing: "距上次结案",
    opened: "立案", closed: "结案", answered: "责任人", photos: "照片", photo: (i) => `照片 ${i}`, open: "未结", newWindow: "在新窗口打开",
    tendency: "变化", trend: { shorter: "间隔在缩短", longer: "间隔在拉长", steady: "间隔平稳" }, spread: "范围", rounds: (d) => `建议每 ${d} 天巡查一次`, peaks: "高峰",
    visitsName: "历次案件", and: "、", noChronic: "此选择没有顽疾点。", noHotspots: "此选择没有热点。",
    hotspot: (rank) => `第 ${rank} 名热点`, expected: "平均分布时应有", previous: "上月名次", fresh: "上月不是热点", areas: "包含区域", parties: "责任人",
    record: (r, at, first, last) => `数据版本 ${r ?? "—"}，制作于 ${at}，案件 ${first} 至 ${last}`,
    failed: (why) => `没有取到数据：${why}`, refused: "密钥无效或没有 manage 权限",
    weekdays: ["周一", "周二", "周三", "周四", "周五", "周六", "周日"],
  },
  en: {
    other: "中文", otherCode: "zh",
    all: "All categories", without: "(no category)", whole: "All the time", last12: "The last 12 months", year: (y) => `${y}`, own: "From month to month…",
    wholePeriod: "the whole period", play: "Play", stop: "Stop", zoomIn: "Zoom in", zoomOut: "Zoom out",
    shown: (cases, category, when) => `${category} · ${when} · ${cases} cases`,
    month: (y, m) => `${["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"][m - 1]} ${y}`,
    cases: "Cases", ofThem: "Share of all", perKm2: "Per km²", verdict: "Verdict", z: "z", q: "q (corrected)", untestedHere: "Not tested for this choice",
    untestedWhy: (least) => `Not tested for this category and period: fewer than ${least} cases, months of your own choice, or too many areas. Choose all the time, a year, the last 12 months or one month.`,
    none: "None", upTo: (a, b) => (a === b ? a : `${a} to ${b}`), countKey: "Cases in each area", rateKey: "Cases per km²",
    densityKey: (b) => `Density of cases (per km², bandwidth ${b} m)`, significanceKey: "Gi* test (q after correction)", patternKey: "Pattern over time",
    noPatterns: "No pattern over time for this choice: too few months, or not tested.",
    chronicKey: "Chronic place, with its number of cases (zoom in for more)", rankKey: "Hotspot, with its rank", outlineKey: "Boundary of",
    history: "Cases by month", monthOf: (m, n) => `${m}: ${n}`,
    chronic: (n) => `${n} cases, again and again`, score: "Chronic score (0 to 100)", median: "Median days to return", days: (d) => `${d} days`, sinceClosing: "After closing",
    opened: "Opened", closed: "Closed", answered: "Who answers", photos: "Photos", photo: (i) => `photo ${i}`, open: "still open", newWindow: "opens a new window",
    tendency: "Tendency", trend: { shorter: "returns sooner and sooner", longer: "returns later and later", steady: "returns steadily" }, spread: "Spread", rounds: (d) => `Suggested round: every ${d} days`, peaks: "Peaks",
    visitsName: "Its cases", and: ", ", noChronic: "No chronic place for this choice.", noHotspots: "No hotspot for this choice.",
    hotspot: (rank) => `Hotspot no. ${rank}`, expected: "If spread evenly", previous: "Rank the month before", fresh: "was none the month before", areas: "Areas", parties: "Who answers",
    record: (r, at, first, last) => `Revision ${r ?? "—"}, made ${at}, cases from ${first} to ${last}`,
    failed: (why) => `The data did not come: ${why}`, refused: "the key is not valid or lacks the scope manage",
    weekdays: ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"],
  },
};

let language = "zh";

/** The words of the language chosen. */
const w = () => WORDS[language];

/** A title of the data in the language chosen, else in the other, else its code. */
const title = (told) => told[language] || told.en || told.zh || told.code || w().without;

const number = (value, digits = 0) => value.toLocaleString(language === "zh" ? "zh-CN" : "en-GB", { maximumFractionDigits: digits });

/** Three figures are as many as a reader takes in. */
const figure = (value) => number(value, value >= 100 ? 0 : value >= 10 ? 1 : 2);

const monthName = (text) => w().month(...text.split("-").map(Number));
