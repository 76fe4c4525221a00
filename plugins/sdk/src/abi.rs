//! The bindings generated from the WIT, unchanged. Plugins do not use them: they are public because
//! the export macro of a plugin's crate has to reach them.
#![expect(clippy::pedantic, reason = "generated code")]

wit_bindgen::generate!({
    path: "../../wit",
    world: "plugin",
    pub_export_macro: true,
    default_bindings_module: "audit_plugin_sdk::abi",
    additional_derives: [PartialEq],
    generate_all,
});
