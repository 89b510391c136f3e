//! Components that no linker would write.

use provider_host::plugin::{EMBEDDED, MANIFEST_SECTION};
use wasm_encoder::{
    CodeSection, Component, ComponentExportKind, ComponentExportSection, ComponentImportSection,
    ComponentInstanceSection, ComponentTypeRef, ComponentTypeSection, CustomSection, Encode as _,
    Function, FunctionSection, InstanceType, Module, RawSection, TypeSection, ValType,
};

/// What a provider exports.
pub(crate) const PROVIDER: &[&str] = &[
    "llm:provider/info@0.1.0",
    "llm:provider/catalog@0.1.0",
    "llm:provider/chat@0.1.0",
];

pub(crate) const MANIFEST: &[u8] =
    br#"{"id": "p", "label": "P", "api": "a", "version": "1", "config_schema": {}}"#;

const MODULE: u8 = 1;
const COMPONENT: u8 = 4;

/// A component of what is named here, its interfaces without functions.
pub(crate) fn component(imports: &[&str], exports: &[&str], modules: &[Vec<u8>]) -> Vec<u8> {
    let mut component = Component::new();
    if !imports.is_empty() {
        let mut types = ComponentTypeSection::new();
        types.instance(&InstanceType::new());
        component.section(&types);
        let mut section = ComponentImportSection::new();
        for import in imports {
            section.import(*import, ComponentTypeRef::Instance(0));
        }
        component.section(&section);
    }
    for module in modules {
        component.section(&RawSection {
            id: MODULE,
            data: module,
        });
    }
    if !exports.is_empty() {
        let mut instances = ComponentInstanceSection::new();
        let nothing: [(&str, ComponentExportKind, u32); 0] = [];
        instances.export_items(nothing);
        component.section(&instances);
        let mut section = ComponentExportSection::new();
        let instance = u32::try_from(imports.len()).expect("a number");
        for export in exports {
            section.export(*export, ComponentExportKind::Instance, instance, None);
        }
        component.section(&section);
    }
    component.finish()
}

/// A provider with a manifest and these modules, as far as can be seen without compiling it.
pub(crate) fn provider(modules: &[Vec<u8>]) -> Vec<u8> {
    with_section(
        component(&[], PROVIDER, modules),
        MANIFEST_SECTION,
        MANIFEST,
    )
}

/// The same bytes with a custom section more.
pub(crate) fn with_section(mut bytes: Vec<u8>, name: &str, data: &[u8]) -> Vec<u8> {
    bytes.push(0);
    CustomSection {
        name: name.into(),
        data: data.into(),
    }
    .encode(&mut bytes);
    bytes
}

/// The embedded plugin in other bytes: it does the same and has another digest.
pub(crate) fn variant(note: &str) -> Vec<u8> {
    with_section(EMBEDDED.to_vec(), "note", note.as_bytes())
}

/// `levels` components in each other.
pub(crate) fn nested(levels: usize) -> Vec<u8> {
    let mut bytes = Component::new().finish();
    for _ in 1..levels {
        let mut outer = Component::new();
        outer.section(&RawSection {
            id: COMPONENT,
            data: &bytes,
        });
        bytes = outer.finish();
    }
    bytes
}

/// A module of functions that each have `bytes` bytes of code and do nothing.
pub(crate) fn idle(functions: u32, bytes: usize) -> Vec<u8> {
    // Locals (none), `nop`, `end`.
    let mut body = vec![0];
    body.resize(bytes - 1, 0x01);
    body.push(0x0b);
    module(functions, &[], &body)
}

/// A module with a function that adds what is not there.
pub(crate) fn invalid() -> Vec<u8> {
    module(1, &[], &[0, 0x6a, 0x0b])
}

/// A module whose code is small and takes long and much to compile: one function of `loops` loops over `locals` variables,
/// each of which is alive through all of them.
pub(crate) fn bomb(locals: u32, loops: u32) -> Vec<u8> {
    let mut function = Function::new([(locals, ValType::I32)]);
    {
        let mut code = function.instructions();
        for one in 0..loops {
            let local = |factor: u32| 1 + one.wrapping_mul(factor) % locals;
            code.loop_(wasm_encoder::BlockType::Empty)
                .local_get(local(1))
                .local_get(local(7))
                .i32_add()
                .local_set(local(3))
                .local_get(0)
                .br_if(0)
                .end();
        }
        code.local_get(0).end();
    }
    module(1, &[ValType::I32], &function.into_raw_body())
}

fn module(functions: u32, results: &[ValType], body: &[u8]) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32], results.iter().copied());
    let mut section = FunctionSection::new();
    let mut code = CodeSection::new();
    for _ in 0..functions {
        section.function(0);
        code.raw(body);
    }
    let mut module = Module::new();
    module.section(&types).section(&section).section(&code);
    module.finish()
}

/// The embedded plugin with this manifest, which it did not have when it was built: its code is the
/// same, and the host reads another id, key variable and base URL.
pub(crate) fn with_manifest(manifest: &serde_json::Value) -> Vec<u8> {
    let mut bytes = EMBEDDED.to_vec();
    let name = MANIFEST_SECTION.as_bytes();
    let found = bytes.windows(name.len()).position(|window| window == name);
    let at = found.expect("the section of the manifest");
    bytes[at] = b'x';
    with_section(bytes, MANIFEST_SECTION, manifest.to_string().as_bytes())
}
