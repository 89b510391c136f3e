//! Tools on offer, and whether one must be called.
//!
//! A schema goes out as the text that came in: its order is what the model
//! reads in the prompt.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;

use super::{boolean, invalid};
use crate::config::compat::Compat;
use crate::raw_json::{Kind, Object, Raw, string};
use crate::text;
use crate::types::{ChatRequest, Error, Tool, ToolChoice};

/// Sets `tools`, `tool_choice` and `parallel_tool_calls`, each only where it
/// says something: vLLM refuses an empty list, and a choice without a list.
pub(super) fn set(
    body: &mut Object,
    request: &ChatRequest,
    compat: &Compat,
) -> Result<(), Box<Error>> {
    let tools: &[Tool] = if compat.tools { &request.tools } else { &[] };
    if !tools.is_empty() {
        let mut list = String::new();
        for tool in tools {
            list.push(if list.is_empty() { '[' } else { ',' });
            list.push_str(&definition(tool)?);
        }
        list.push(']');
        body.set("tools", list);
    }
    let choice = match &request.tool_choice {
        None => None,
        Some(ToolChoice::Auto) => Some("\"auto\"".to_owned()),
        Some(ToolChoice::None) => Some("\"none\"".to_owned()),
        Some(ToolChoice::Required) => {
            if tools.is_empty() {
                return Err(without_tools("a call is required", request));
            }
            Some("\"required\"".to_owned())
        }
        Some(ToolChoice::Named(name)) => {
            if !tools.iter().any(|tool| tool.name == *name) {
                let what = text::concat(&["a call of ", &string(name), " is required"]);
                return Err(if tools.is_empty() {
                    without_tools(&what, request)
                } else {
                    invalid(&text::concat(&[&what, ", but no such tool is offered"]))
                });
            }
            let head = r#"{"type":"function","function":{"name":"#;
            Some(text::concat(&[head, &string(name), "}}"]))
        }
    };
    if tools.is_empty() {
        return Ok(());
    }
    if let Some(choice) = choice {
        body.set("tool_choice", choice);
    }
    if let Some(parallel) = request.parallel_tool_calls {
        body.set("parallel_tool_calls", boolean(parallel));
    }
    Ok(())
}

fn without_tools(what: &str, request: &ChatRequest) -> Box<Error> {
    let why = if request.tools.is_empty() {
        "no tool is offered"
    } else {
        "the configuration says of this model that it supports no tools \
         (compat.supportsTools)"
    };
    invalid(&text::concat(&[what, ", but ", why]))
}

fn definition(tool: &Tool) -> Result<String, Box<Error>> {
    if tool.name.trim().is_empty() {
        return Err(invalid("a tool has no name"));
    }
    let mut function = Object::default();
    function.set("name", string(&tool.name));
    if let Some(description) = &tool.description {
        function.set("description", string(description));
    }
    let what = text::concat(&["the parameters of the tool ", &string(&tool.name)]);
    function.set("parameters", schema(&what, &tool.parameters)?);
    let head = r#"{"type":"function","function":"#;
    Ok(text::concat(&[head, &function.to_json(), "}"]))
}

/// A JSON Schema that came as text: an object, passed on as it is.
pub(super) fn schema<'s>(what: &str, text: &'s str) -> Result<&'s str, Box<Error>> {
    match Raw::parse(text) {
        Ok(schema) if schema.kind() == Kind::Object => Ok(schema.text()),
        Ok(other) => Err(invalid(&text::concat(&[
            what,
            ": ",
            other.kind().name(),
            " was found where a JSON Schema object must be",
        ]))),
        Err(why) => Err(invalid(&text::concat(&[what, ": not JSON: ", &why.text()]))),
    }
}
