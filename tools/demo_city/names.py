"""Names in the demo city are plainly made up: put together from a few characters, with pinyin."""

PINYIN = {
    "春": "Chun", "秋": "Qiu", "青": "Qing", "锦": "Jin", "云": "Yun", "明": "Ming",
    "松": "Song", "竹": "Zhu", "兰": "Lan", "星": "Xing", "晴": "Qing", "桐": "Tong",
    "和": "He", "安": "An", "禾": "He", "溪": "Xi", "湖": "Hu", "月": "Yue",
    "园": "Yuan", "岭": "Ling", "霞": "Xia", "泉": "Quan", "庭": "Ting", "草": "Cao",
    "百": "Bai", "千": "Qian", "帆": "Fan", "石": "Shi", "桥": "Qiao", "南": "Nan",
    "柳": "Liu",
}  # fmt: skip
STREETS = ("百草", "青禾", "千帆", "石桥", "南柳")
TRADES = {
    "面馆": "noodles", "水果店": "fruit", "理发店": "hairdresser", "药房": "pharmacy",
    "五金店": "hardware", "早点铺": "breakfast", "便利店": "corner shop", "花店": "flowers",
    "修车铺": "bicycle repairs", "茶庄": "tea", "文具店": "stationery", "洗衣店": "laundry",
}  # fmt: skip
_FIRST, _LAST = "春秋青锦云明松竹兰星晴桐", "和安禾溪湖月园岭霞泉庭"


def place(number: int) -> str:
    """Give the name of that number; 132 differ, and neighbours do not begin alike."""
    return _FIRST[number % 12] + _LAST[(number + number // 132) % 11]


def english(name: str) -> str:
    """Spell a made-up name in pinyin, one word."""
    return "".join(PINYIN[sign] for sign in name).capitalize()


def person(number: int) -> str:
    """Give a person's name: 3,000 differ, each with a numeral in the middle like 张一明."""
    surname, rest = number % 30, number // 30
    surnames = "张王李赵陈刘杨黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧"
    return (
        surnames[surname] + "一二三四五六七八九十"[rest % 10] + "明亮平安和宁康乐清远"[rest // 10]
    )
