"""What forms and tables of the project say: labels in both languages, and choices.

Plain data without QGIS, so that tests hold it against the service's own words.
"""

from typing import NamedTuple

DUTIES = {
    "责任主体 Responsibility": "responsibility",
    "管理主体 Management": "management",
    "执法主体 Enforcement": "enforcement",
    "监督主体 Supervision": "supervision",
}
# As an answer names who holds a duty.
ANSWERED = {
    "责任主体 Responsible": "responsible",
    "管理主体 Management": "management",
    "执法主办 Enforcement lead": "enforcement_lead",
    "执法协办 Enforcement assistant": "enforcement_assistant",
    "监督主体 Supervisor": "supervisor",
}
RANKS = {"主办 Lead": "1", "协办 Assistant": "2"}
STATES = {"现状 Base": "base", "已改 Changed": "changed", "新增 New": "new", "撤销 Ended": "ended"}
CHANGE_SET_STATES = {
    "编辑中 Open": "open",
    "已检查 Checked": "checked",
    "已发布 Published": "published",
    "已撤回 Withdrawn": "withdrawn",
}
ACTIONS = {
    "显示 Show": "show",
    "检查 Check": "check",
    "预览影响 Preview": "preview",
    "更新到最新版本 Rebase": "rebase",
    "发布 Publish": "publish",
    "撤回 Withdraw": "withdraw",
    "回退到此版本 Roll back to this": "rollback",
}
PARTY_KINDS = {"个人 Person": "person", "单位 Body": "body"}
PROBLEMS = {
    "重叠 Overlap": "overlap",
    "空隙 Gap": "gap",
    "越出上级 Spill": "spill",
    "缺节点 Missing node": "missing_node",
    "过窄 Too narrow": "narrow",
    "无人负责 Orphan": "orphan",
    "岗位空缺 Vacancy": "vacancy",
    "编码不符 Code": "odd_code",
    "编码重复 Same code twice": "duplicate_code",
    "宽度不符 Odd width": "odd_width",
    "缺名称 No name": "empty_name",
    "缺图形 No geometry": "null_geometry",
    "不是面 Not a polygon": "not_polygon",
    "图形无效 Invalid": "invalid_ring",
    "坐标系未声明 CRS undeclared": "undeclared_crs",
    "坐标系不符 Wrong datum": "wrong_datum",
    "超出市域 Outside": "outside_extent",
    "区域不存在 Unknown area": "unknown_area",
    "已有人担任 Already held": "already_held",
    "冲突 Conflict": "conflict",
    "检查未完成 Not checked": "unchecked",
}
# Stand for the scheme's own: `gridsvc.qgis.project` puts its roles and layers in their place.
ANY = {"? ?": "?"}


class Field(NamedTuple):
    """How a form shows a column."""

    name: str
    alias: str
    values: dict[str, str] | None = None
    """A dropdown: what is shown, and what is stored."""
    edits: bool = True
    shown: bool = True
    required: bool = False
    in_table: bool = True
    """Whether the table of all rows shows it too: what is found in space costs time for each."""
    long: bool = False
    default: str | None = None
    """Expression."""
    on_update: bool = False
    """Whether each edit sets the default again."""
    must: tuple[str, str] | None = None
    """Expression that holds, and what to say where it does not."""
    party: bool = False
    """A party, to be chosen by name or code."""


KEY = Field("key", "键 Key", shown=False, edits=False)
# The database gives it; a form that held it would refuse a new row for want of it.
ID = Field("id", "编号 No.", shown=False, edits=False)
# QGIS sends a column back only where its value changes: so the trigger learns which row was looked
# at (gridsvc.seen_row). However often a row is edited before it is saved, it is turned once only.
_SEEN = 'if("row_number" >= 0, -1 - "row_number", "row_number")'
ROW = Field("row_number", "行号 Row", shown=False, default=_SEEN, on_update=True)
CODE = Field("code", "编码 Code")
NAME = Field("name", "名称 Name")
STATE = Field("state", "状态 State", STATES, edits=False)

AREA = (
    KEY,
    ROW,
    CODE,
    NAME,
    Field("parent_code", "上级编码 Parent", edits=False, in_table=False),
    STATE,
    Field("area_m2", "面积 Area (m²)", edits=False),
)
FIELDS: dict[str, tuple[Field, ...]] = {
    "tiling": AREA,
    "overlay": AREA,
    "line": (
        *AREA,
        Field(
            "width_m",
            "宽度 Width (m)",
            required=True,
            default="12",
            must=('"width_m" > 0 AND "width_m" <= 200', "宽度须在 0 至 200 米之间 0 to 200 m"),
        ),
    ),
    "surface": (KEY, ROW._replace(default=None, on_update=False), *AREA[2:]),
    "change_set": (
        ID,
        Field("name", "名称 Name", required=True),
        Field("note", "说明 Note", long=True),
        Field("takes_effect_at", "生效时间 Takes effect at"),
        Field("action", "操作 Action", ACTIONS),
        Field("state", "状态 State", CHANGE_SET_STATES, edits=False),
        Field("is_shown", "正在显示 Shown", edits=False),
        Field("problems", "问题数 Problems", edits=False),
        Field("conflicts", "冲突数 Conflicts", edits=False),
        Field("author", "作者 Author", edits=False),
        Field("base_revision", "基于版本 Base revision", edits=False),
        Field("newest_revision", "最新版本 Newest revision", edits=False),
        Field("revision", "发布为版本 Published as", edits=False),
        Field("created_at", "创建时间 Created at", edits=False),
        Field("closed_at", "结束时间 Closed at", edits=False),
    ),
    "proposal": (
        KEY,
        Field("what", "改动 What", STATES, edits=False),
        Field("layer", "图层 Layer", ANY, edits=False),
        CODE._replace(edits=False),
        Field("edited_at", "修改时间 Edited at", edits=False),
        Field("edited_by", "修改人 Edited by", edits=False),
    ),
    "problem": (
        KEY,
        Field("kind", "问题 Problem", PROBLEMS),
        Field("stops", "阻止发布 Stops"),
        Field("message_zh", "说明", long=True),
        Field("message", "Message", long=True),
        Field("layer", "图层 Layer", ANY),
        CODE,
        Field("other", "另一方 Other"),
        Field("area_m2", "面积 Area (m²)"),
        Field("width_m", "宽度 Width (m)"),
    ),
    "party": (
        Field("code", "编码 Code", required=True),
        Field("name", "姓名或名称 Name", required=True),
        Field("kind", "类别 Kind", PARTY_KINDS, required=True),
        Field("phone", "电话 Phone"),
        STATE,
    ),
    "assignment": (
        KEY,
        ROW,
        Field("party_code", "责任人 Party", party=True, required=True),
        Field("layer", "图层 Layer", ANY, required=True),
        Field("area_code", "区域编码 Area", required=True),
        Field("duty", "职责 Duty", DUTIES, required=True),
        Field("role", "岗位 Role", ANY, required=True),
        Field("rank", "主办或协办 Rank", RANKS, required=True, default="1"),
        Field("category", "类别(空为全部) Category"),
        Field("hours", "时段(空为全天) Hours"),
        Field("valid_from", "开始 From", required=True, default="now()"),
        Field(
            "valid_to",
            "结束 To",
            must=(
                '"valid_to" IS NULL OR "valid_to" > "valid_from"',
                "结束须晚于开始 The end must come after the start",
            ),
        ),
        STATE,
        Field("hand_over_to", "移交给 Hand over to", party=True),
        Field("hand_over_at", "移交时间 Hand over at"),
    ),
    "hist": (
        KEY,
        CODE,
        NAME,
        Field("revision", "版本 Revision"),
        Field("until_revision", "止于版本 Until revision"),
        Field("shown_from", "自 From"),
        Field("shown_to", "至 To"),
        Field("author", "作者 Author"),
        Field("change_set", "变更集 Change set"),
        Field("note", "说明 Note", long=True),
    ),
    "hist_change": (
        KEY,
        Field("what", "改动 What", STATES),
        Field("layer", "图层 Layer", ANY),
        CODE,
        Field("came_from", "来自 Came from"),
        Field("revision", "版本 Revision"),
        Field("published_at", "发布时间 Published at"),
        Field("author", "作者 Author"),
        Field("change_set", "变更集 Change set"),
        Field("note", "说明 Note", long=True),
    ),
    "impact_total": (
        KEY,
        Field("reports", "上报总数 Reports"),
        Field("compared", "比较的上报 Compared"),
        Field("moved", "换责任人的上报 Moved"),
        Field("stops", "阻止发布的问题 Stops"),
        Field("conflicts", "冲突 Conflicts"),
        Field("is_out_of_date", "之后又有修改 Out of date"),
        Field("days", "天数 Days"),
        Field("from_at", "自 From"),
        Field("to_at", "至 To"),
        Field("judged_at", "按此时判断 As of"),
        Field("base_revision", "基于版本 Base revision"),
        Field("made_at", "预览时间 Made at"),
    ),
    "impact": (
        KEY,
        Field("duty", "职责 Duty", ANSWERED),
        Field("name", "责任人 Party"),
        Field("party_code", "编码 Code"),
        Field("gains", "增加 Gains"),
        Field("losses", "减少 Losses"),
        Field("change", "净变化 Change"),
    ),
    "impact_area": (
        KEY,
        Field("layer", "图层 Layer", ANY),
        CODE,
        Field("what", "改动 What", STATES),
        Field("area_before_m2", "原面积 Area before (m²)"),
        Field("area_after_m2", "新面积 Area after (m²)"),
        Field("area_change_m2", "面积变化 Area change (m²)"),
        Field("length_before_m", "原长度 Length before (m)"),
        Field("length_after_m", "新长度 Length after (m)"),
        Field("moved_edge_m", "移动的边长 Edge moved (m)"),
    ),
    "impact_report": (
        KEY,
        Field("report_id", "上报编号 Report"),
        Field("received_at", "上报时间 Received at"),
        Field("category", "类别 Category"),
        Field("duties", "改变的职责 Duties"),
        Field("responsible_from", "原责任人 Responsible before"),
        Field("responsible_to", "新责任人 Responsible after"),
        Field("moves", "全部变化 All moves"),
    ),
}
# Of a view with two geometries a layer shows one, and QGIS takes the other for a text.
SECOND_GEOMETRIES = {
    "part": Field("part", "范围 Area", shown=False, edits=False),
    "point": Field("point", "位置 Point", shown=False, edits=False),
}
# Columns of a form side by side, by title; what is named nowhere stands in the last.
TABS = {
    "change_set": (
        ("变更集 Change set", ("name", "note", "takes_effect_at", "action")),
        ("状态 State", None),
    ),
    "assignment": (
        (
            "分工 Assignment",
            ("party_code", "layer", "area_code", "duty", "role", "rank", "category", "hours"),
        ),
        ("期限与移交 Period and hand-over", None),
    ),
}
