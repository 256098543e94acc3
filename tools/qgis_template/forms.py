"""Forms, tables and relations of the template's layers."""

import sys
from typing import Any

from qgis.core import (
    QgsAttributeEditorContainer,
    QgsAttributeEditorField,
    QgsDefaultValue,
    QgsEditFormConfig,
    QgsEditorWidgetSetup,
    QgsFieldConstraints,
    QgsProject,
    QgsRelation,
    QgsVectorLayer,
)

from tools.qgis_template.fields import FIELDS, SECOND_GEOMETRIES, TABS, Field


def _relation(column: str) -> str:
    return f"gridsvc_{column}"


def relate(project: QgsProject, layers: dict[str, QgsVectorLayer]) -> None:
    """Relate assignments to the parties that hold them and that they are handed over to."""
    for field in FIELDS["assignment"]:
        if field.party:
            relation = QgsRelation()
            relation.setId(_relation(field.name))
            relation.setName(field.alias)
            relation.setReferencingLayer(layers["assignment"].id())
            relation.setReferencedLayer(layers["party"].id())
            relation.addFieldPair(field.name, "code")
            if not relation.isValid():
                sys.exit(f"no relation for {field.name}: {relation.validationError()}")
            project.relationManager().addRelation(relation)


def lay_forms(layers: dict[str, QgsVectorLayer]) -> None:
    """Give every layer its form and its table."""
    for layer in layers.values():
        kind = layer.customProperty("gridsvc/kind")
        fields = list(FIELDS[kind])
        # What a view has beyond what is told here is shown as it is called.
        told = {field.name for field in fields}
        others = [column.name() for column in layer.fields() if column.name() not in told]
        fields += [SECOND_GEOMETRIES.get(name) or Field(name, name) for name in others]
        missing = [it.name for it in fields if layer.fields().indexOf(it.name) < 0]
        if missing:
            sys.exit(f"{layer.name()} has no column {', '.join(missing)}")
        _form(layer, fields, TABS.get(kind, ()), parties=layers["party"])


def _form(
    layer: QgsVectorLayer,
    fields: list[Field],
    tabs: tuple[tuple[str, tuple[str, ...] | None], ...],
    *,
    parties: QgsVectorLayer,
) -> None:
    form: QgsEditFormConfig = layer.editFormConfig()
    for field in fields:
        index = layer.fields().indexOf(field.name)
        layer.setFieldAlias(index, field.alias)
        layer.setEditorWidgetSetup(index, _widget(layer, field, parties))
        form.setReadOnly(index, not field.edits)
        if field.default:
            layer.setDefaultValueDefinition(index, QgsDefaultValue(field.default, field.on_update))
        if field.required:
            layer.setFieldConstraint(
                index,
                QgsFieldConstraints.ConstraintNotNull,
                QgsFieldConstraints.ConstraintStrengthHard,
            )
        if field.must:
            layer.setConstraintExpression(index, *field.must)
            layer.setFieldConstraint(
                index,
                QgsFieldConstraints.ConstraintExpression,
                QgsFieldConstraints.ConstraintStrengthHard,
            )
    form.setLayout(QgsEditFormConfig.TabLayout)
    form.clearTabs()
    placed = {name for _, names in tabs for name in names or ()}
    for title, names in tabs or (("", None),):
        parent = form.invisibleRootContainer()
        if title:
            parent = QgsAttributeEditorContainer(title, parent)
            parent.setIsGroupBox(True)
            form.addTab(parent)
        for field in fields:
            here = field.name in names if names is not None else field.name not in placed
            if field.shown and here:
                index = layer.fields().indexOf(field.name)
                parent.addChildElement(QgsAttributeEditorField(field.name, index, parent))
    layer.setEditFormConfig(form)
    table = layer.attributeTableConfig()
    table.update(layer.fields())
    columns = {column.name: column for column in table.columns()}
    ordered = []
    for field in fields:
        column = columns.pop(field.name)
        column.hidden = not (field.shown and field.in_table)
        ordered.append(column)
    table.setColumns([*ordered, *columns.values()])
    layer.setAttributeTableConfig(table)


def _widget(layer: QgsVectorLayer, field: Field, parties: QgsVectorLayer) -> QgsEditorWidgetSetup:
    kind = layer.fields().field(field.name).typeName()
    if not field.shown:
        chosen = "Hidden"
    elif field.party:
        chosen = "RelationReference"
    elif field.values is not None:
        chosen = "ValueMap"
    else:
        by_type = {"timestamp": "DateTime", "float8": "Range", "bool": "CheckBox"}
        chosen = by_type.get(kind, "TextEdit")
    configs: dict[str, dict[str, Any]] = {
        "Hidden": {},
        "CheckBox": {},
        # Unlike a value relation it reads a hundred rows at a time and searches in the database,
        # and shows the code beside the name: many people are called alike.
        "RelationReference": {
            "Relation": _relation(field.name),
            "ReferencedLayerId": parties.id(),
            "ReferencedLayerName": parties.name(),
            "ReferencedLayerDataSource": parties.source(),
            "ReferencedLayerProviderKey": "postgres",
            "AllowNULL": True,
            "AllowAddFeatures": False,
            "FetchLimitActive": True,
            "FetchLimitNumber": 100,
            "MapIdentification": False,
            "OrderByValue": True,
            "ReadOnly": False,
            "ShowForm": False,
            "ShowOpenFormButton": False,
        },
        "ValueMap": {"map": [{shown: value} for shown, value in (field.values or {}).items()]},
        "DateTime": {
            "display_format": "yyyy-MM-dd HH:mm",
            "field_format": "yyyy-MM-dd HH:mm:ss",
            "field_iso_format": False,
            "calendar_popup": True,
            "allow_null": True,
        },
        "Range": {
            "Style": "SpinBox",
            "Precision": 2,
            "Min": 0,
            "Max": 1e12,
            "Step": 1.0,
            "AllowNull": True,
        },
        "TextEdit": {"IsMultiline": field.long, "UseHtml": False},
    }
    return QgsEditorWidgetSetup(chosen, configs[chosen])
