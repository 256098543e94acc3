"""A unit grid's code names what it lies in: district 6 digits, street 3, community 3, unit 3."""

# The first two digits of GB/T 2260: the provinces, municipalities and regions.
_PROVINCES = frozenset(
    str(region)
    for regions in (
        range(11, 16),
        range(21, 24),
        range(31, 38),
        range(41, 47),
        range(50, 55),
        range(61, 66),
        (71, 81, 82),
    )
    for region in regions
)
_PARTS = (("street", 6, 9), ("community", 9, 12), ("unit", 12, 15))
_LENGTH = 15
_ENDS_AT = {6: "district", 9: "street", 12: "community"}


def unit_grid_code_faults(text: str) -> tuple[str, ...]:
    """Say what is wrong with a unit grid code.

    Returns:
        One phrase per fault, in the order of the code; empty for a code that can be right.
    """
    odd = [(index, sign) for index, sign in enumerate(text, 1) if sign not in "0123456789"]
    if "e+" in text.lower() or text.endswith(".0"):
        return ("is a number that a spreadsheet has rounded; keep the column as text",)
    if odd:
        return tuple(f"has {sign!r}, not a digit 0-9, at place {index}" for index, sign in odd)
    faults = []
    if len(text) != _LENGTH:
        ends = f", a {_ENDS_AT[len(text)]}'s code" if len(text) in _ENDS_AT else ""
        faults.append(f"has {len(text)} digits{ends}, not 15")
    if text[:2] not in _PROVINCES:
        faults.append(f"begins with {text[:2]!r}, which is no province")
    faults += [
        f"has 000 for its {name} (digits {start + 1}-{end}); they count from 001"
        for name, start, end in _PARTS
        if text[start:end] == "000"
    ]
    return tuple(faults)
