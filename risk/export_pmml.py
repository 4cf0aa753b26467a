"""A scorecard as PMML 4.4, which other vendors' scoring engines read.

It reads no PMML. Theory: PMML's Scorecard element (Data Mining Group, 4.4, chapter Scorecard) is an initial score and
one partial score per attribute, the first whose predicate holds; so it carries the points exactly. The PD is another
output that PMML derives from the points, and points are rounded: it is left out rather than given less exactly.
"""

from xml.etree import ElementTree as Xml

import numpy as np

from risk.card import CardField, Scorecard

__all__ = ["pmml_document"]

_NAMESPACE = "http://www.dmg.org/PMML-4_4"


def pmml_document(card: Scorecard) -> bytes:
    """Return the PMML file, UTF-8; its one output is `score`."""
    root = Xml.Element("PMML", {"xmlns": _NAMESPACE, "version": "4.4"})
    header = Xml.SubElement(root, "Header", {"description": f"creditmesh {card.recipe}"})
    Xml.SubElement(header, "Application", {"name": "creditmesh"})
    dictionary = Xml.SubElement(root, "DataDictionary", {"numberOfFields": str(len(card.fields) + 1)})
    for item in card.fields:
        _declare(dictionary, item)
    Xml.SubElement(dictionary, "DataField", {"name": "score", "optype": "continuous", "dataType": "integer"})
    model = Xml.SubElement(
        root,
        "Scorecard",
        {
            "modelName": card.recipe,
            "functionName": "regression",
            "useReasonCodes": "false",
            "initialScore": str(card.base_points),
        },
    )
    schema = Xml.SubElement(model, "MiningSchema")
    Xml.SubElement(schema, "MiningField", {"name": "score", "usageType": "target"})
    for item in card.fields:
        # A text that is no level counts as missing, as everywhere else.
        Xml.SubElement(schema, "MiningField", {"name": item.name, "invalidValueTreatment": "asMissing"})
    output = Xml.SubElement(model, "Output")
    Xml.SubElement(
        output,
        "OutputField",
        {"name": "points", "feature": "predictedValue", "dataType": "integer", "optype": "continuous"},
    )
    characteristics = Xml.SubElement(model, "Characteristics")
    for item in card.fields:
        _characteristic(characteristics, item)
    Xml.indent(root)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, "utf-8") + b"\n"


def _declare(parent: Xml.Element, item: CardField) -> None:
    category = item.coding.kind == "category"
    kind = (
        {"optype": "categorical", "dataType": "string"} if category else {"optype": "continuous", "dataType": "double"}
    )
    field = Xml.SubElement(parent, "DataField", {"name": item.name, **kind})
    for level in item.levels if category else ():
        Xml.SubElement(field, "Value", {"value": level})


def _characteristic(parent: Xml.Element, item: CardField) -> None:
    coding, points = item.coding, item.points
    characteristic = Xml.SubElement(parent, "Characteristic", {"name": f"{item.name} points"})

    def attribute(place: int) -> Xml.Element:
        return Xml.SubElement(characteristic, "Attribute", {"partialScore": str(points[place])})

    for place, special in enumerate(coding.special):
        _compare(attribute(coding.ordinary + place), item.name, "equal", special)
    _missing(attribute(coding.bins - 1), item)
    if coding.kind == "flag":
        for each in (0.0, 1.0):
            _compare(attribute(int(coding.codes(np.array([each]))[0])), item.name, "equal", each)
        Xml.SubElement(attribute(coding.bins - 1), "True")
        return
    if coding.kind == "category":
        for place, group in enumerate(coding.groups):
            parent = attribute(place)
            if len(group) > 1:
                parent = Xml.SubElement(parent, "CompoundPredicate", {"booleanOperator": "or"})
            for level in group:
                _compare(parent, item.name, "equal", item.levels[level])
        return
    for place, cut in enumerate(coding.cuts):
        _compare(attribute(place), item.name, "lessThan", cut)
    Xml.SubElement(attribute(coding.ordinary - 1), "True")


def _missing(parent: Xml.Element, item: CardField) -> None:
    """Add what holds where the field is empty, or a number beyond its bounds."""
    bounds = item.coding.bounds
    if bounds is not None:
        parent = Xml.SubElement(parent, "CompoundPredicate", {"booleanOperator": "or"})
    Xml.SubElement(parent, "SimplePredicate", {"field": item.name, "operator": "isMissing"})
    if bounds is not None:
        _compare(parent, item.name, "lessThan", bounds[0])
        _compare(parent, item.name, "greaterThan", bounds[1])


def _compare(parent: Xml.Element, field: str, operator: str, value: float | str) -> None:
    # Levels are compared one by one: readers disagree on how quotes and backslashes stand in an Array of strings.
    text = value if isinstance(value, str) else repr(value)
    Xml.SubElement(parent, "SimplePredicate", {"field": field, "operator": operator, "value": text})
