//! The server's list, row by row.
//!
//! One row that makes no sense never costs the others: each is read on its own,
//! from its own text.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::config::{DEFAULT_CONTEXT_WINDOW, DEFAULT_MAX_TOKENS};
use crate::error;
use crate::families::traits;
use crate::number;
use crate::raw_json::{Fields, Raw};
use crate::text;
use crate::types::{Cost, Modality, Model, ModelSource};

/// Most rows of a list: ten thousand are honest.
const MAX_ROWS: usize = 16_384;

/// Longest id in bytes. vLLM's may be the path of a folder.
const MAX_ID: usize = 1024;

/// Where servers write the size of the context: vLLM the first, others the
/// rest (OpenClaw reads the same ones).
const CONTEXT_FIELDS: [&str; 4] = [
    "max_model_len",
    "context_length",
    "context_window",
    "context_size",
];

/// Names that servers give the list inside of an object: OpenAI's (vLLM has it), and the one of
/// routers and of Ollama.
const LIST_FIELDS: [&str; 2] = ["data", "models"];

/// Names that they give a row's id: OpenAI's, and Ollama's two.
const ID_FIELDS: [&str; 3] = ["id", "model", "name"];

/// How deep the list is looked for inside of objects.
const MAX_DEPTH: u8 = 2;

/// What a body is instead of a list of models.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoList {
    /// It says that something went wrong.
    Error,
    /// This.
    Other(&'static str),
}

/// The models of an answer, in its order, and how many rows have no id that can
/// be used. The list is an array, or stands in an object under one of [`LIST_FIELDS`], or
/// elsewhere in it if its rows are objects with an `id`. A row is an object or the id alone.
pub(super) fn models(body: &str) -> Result<(Vec<Model>, usize), NoList> {
    let text = body.strip_prefix("\u{feff}").unwrap_or(body);
    let value = Raw::parse(text).map_err(|_| NoList::Other("something that is not JSON"))?;
    let list = list(value, MAX_DEPTH);
    let has_rows = list.as_ref().is_some_and(|list| !list.is_empty());
    if error::says_error(value, has_rows) {
        return Err(NoList::Error);
    }
    let Some(list) = list else {
        return Err(NoList::Other("JSON that has no list of models"));
    };
    let listed = list.len();
    if listed > MAX_ROWS {
        return Err(NoList::Other("a list of more than 16,384 models"));
    }
    let rows: Vec<Row<'_>> = list
        .into_iter()
        .filter_map(|row| match row.as_object() {
            Some(fields) => {
                let id = ID_FIELDS.iter().find_map(|name| text_of(&fields, name))?;
                Some((id, fields))
            }
            None => Some((id_text(row)?, Fields::default())),
        })
        .collect();
    let skipped = listed - rows.len();
    let by_id = ById::new(&rows);
    let mut models = Vec::new();
    for (place, (id, fields)) in rows.iter().enumerate() {
        if by_id.first(&rows, id) != Some(place) {
            continue;
        }
        let parent = text_of(fields, "parent");
        let inherited = parent.as_deref().and_then(|id| {
            let (_, fields) = rows.get(by_id.first(&rows, id)?)?;
            window(fields)
        });
        let context_window = window(fields)
            .or(inherited)
            .unwrap_or(DEFAULT_CONTEXT_WINDOW);
        let (named, root) = (traits(id), text_of(fields, "root"));
        // A model served under another name still says what it was loaded from.
        let by_root = match root {
            Some(root) if root != *id => traits(&root),
            _ => named,
        };
        let mut input = vec![Modality::Text];
        if named.vision || by_root.vision {
            input.push(Modality::Image);
        }
        models.push(Model {
            id: id.clone(),
            name: id.clone(),
            reasoning: named.reasoning || by_root.reasoning,
            input,
            cost: Cost::default(),
            context_window,
            max_tokens: DEFAULT_MAX_TOKENS.min(context_window),
            parent,
            source: ModelSource::Discovered,
        });
    }
    Ok((models, skipped))
}

/// The list in a value, and in what its fields hold.
fn list(value: Raw<'_>, depth: u8) -> Option<Vec<Raw<'_>>> {
    if let Some(list) = value.as_array() {
        return Some(list);
    }
    let fields = value.as_object().filter(|_| depth > 0)?;
    let named = LIST_FIELDS.iter().find_map(|name| {
        let value = fields.get(name)?;
        list(value, depth - 1)
    });
    named.or_else(|| {
        let values = fields.0.iter().map(|(_, value)| *value);
        let mut lists = values.filter_map(|value| list(value, depth - 1));
        lists.find(|list| {
            let has_id = |row: &Raw<'_>| {
                row.as_object()
                    .is_some_and(|row| text_of(&row, "id").is_some())
            };
            list.first().is_some_and(has_id)
        })
    })
}

/// A row's id, and all of its fields.
type Row<'a> = (String, Fields<'a>);

/// Where an id stands first. A hash table of places, at most half full, for a
/// list may be long; std's would cost more than the rest of this file.
struct ById {
    /// One more than the place; 0: free.
    slots: Vec<u32>,
}

impl ById {
    fn new(rows: &[Row<'_>]) -> Self {
        let mut index = Self {
            slots: vec![0; (rows.len() * 2).next_power_of_two()],
        };
        for (place, (id, _)) in rows.iter().enumerate() {
            let slot = index.slot(rows, id);
            if let Some(free @ 0) = index.slots.get_mut(slot) {
                *free = place as u32 + 1;
            }
        }
        index
    }

    fn first(&self, rows: &[Row<'_>], id: &str) -> Option<usize> {
        let found = *self.slots.get(self.slot(rows, id))?;
        (found as usize).checked_sub(1)
    }

    /// The slot that holds `id`, or the free one where it belongs.
    fn slot(&self, rows: &[Row<'_>], id: &str) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = text::hash(id) as usize & mask;
        while let Some(taken @ 1..) = self.slots.get(slot).copied() {
            if rows
                .get(taken as usize - 1)
                .is_some_and(|(other, _)| other == id)
            {
                break;
            }
            slot = (slot + 1) & mask;
        }
        slot
    }
}

/// A string that is not blank, trimmed; not one that is too long for an id.
fn text_of(fields: &Fields<'_>, name: &str) -> Option<String> {
    id_text(fields.get(name)?)
}

fn id_text(value: Raw<'_>) -> Option<String> {
    let text = value.as_string()?;
    let text = text.trim();
    (1..=MAX_ID).contains(&text.len()).then(|| text.to_owned())
}

/// The first positive number, which may be written as text, cut to whole tokens.
fn window(fields: &Fields<'_>) -> Option<u32> {
    CONTEXT_FIELDS.iter().find_map(|name| {
        let value = fields.get(name)?;
        let tokens = match value.as_string() {
            Some(text) => number::parse(text.trim())?,
            None => value.as_f64()?,
        };
        // A cast of a float saturates.
        (tokens >= 1.0).then_some(tokens as u32)
    })
}
