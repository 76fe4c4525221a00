"""The entry of the component. The rule itself is in plugin.py, which runs in any Python as well."""

from audit_plugin.export import export_plugin
from plugin import Plugin

Lifecycle, Judge, State = export_plugin(Plugin)
