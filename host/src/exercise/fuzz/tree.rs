//! JSON that may become wrong: a tree whose leaves are text as it is written.
//!
//! Order, duplicate keys and the spelling of numbers are kept, because they are what is mutated.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use super::dice::Dice;
use super::words;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// As it is written; anything at all after a mutation.
    Leaf(String),
    Array(Vec<Node>),
    /// Keys as they are written.
    Object(Vec<(String, Node)>),
}

impl Node {
    /// Reads a text; none if it is no JSON.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    pub(super) fn write(&self, into: &mut String) {
        match self {
            Self::Leaf(text) => into.push_str(text),
            Self::Array(items) => {
                into.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        into.push(',');
                    }
                    item.write(into);
                }
                into.push(']');
            }
            Self::Object(fields) => {
                into.push('{');
                for (index, (key, value)) in fields.iter().enumerate() {
                    if index > 0 {
                        into.push(',');
                    }
                    into.push_str(key);
                    into.push(':');
                    value.write(into);
                }
                into.push('}');
            }
        }
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    /// This node and all below it.
    fn count(&self) -> usize {
        1 + match self {
            Self::Leaf(_) => 0,
            Self::Array(items) => items.iter().map(Self::count).sum(),
            Self::Object(fields) => fields.iter().map(|(_, value)| value.count()).sum(),
        }
    }

    /// The node of a number in order of writing, this one being 0.
    fn at(&mut self, mut number: usize) -> Option<&mut Self> {
        if number == 0 {
            return Some(self);
        }
        number -= 1;
        let below: Vec<&mut Self> = match self {
            Self::Leaf(_) => return None,
            Self::Array(items) => items.iter_mut().collect(),
            Self::Object(fields) => fields.iter_mut().map(|(_, value)| value).collect(),
        };
        for node in below {
            let count = node.count();
            if number < count {
                return node.at(number);
            }
            number -= count;
        }
        None
    }

    /// Changes one thing somewhere.
    pub(super) fn mutate(&mut self, dice: &mut Dice) {
        let count = self.count();
        // Another place's value, for splices.
        let other = self.at(dice.below(count)).cloned();
        let Some(node) = self.at(dice.below(count)) else {
            return;
        };
        match node {
            Self::Leaf(text) => mutate_leaf(text, dice),
            Self::Array(items) => match dice.below(8) {
                0 if !items.is_empty() => {
                    items.remove(dice.below(items.len()));
                }
                1 if !items.is_empty() => {
                    let item = dice.one(items).clone();
                    items.insert(dice.place(items.len()), item);
                }
                2 if items.len() > 1 => {
                    let (a, b) = (dice.below(items.len()), dice.below(items.len()));
                    items.swap(a, b);
                }
                3 => items.insert(dice.place(items.len()), any(dice)),
                4 => items.extend(other),
                5 => items.clear(),
                6 if !items.is_empty() => {
                    let item = items[0].clone();
                    items.extend(std::iter::repeat_n(item, dice.length(300)));
                }
                _ => *node = any(dice),
            },
            Self::Object(fields) => match dice.below(10) {
                0 | 1 if !fields.is_empty() => {
                    fields.remove(dice.below(fields.len()));
                }
                2 if !fields.is_empty() => {
                    // Which of two values of a key counts?
                    let (key, value) = dice.one(fields).clone();
                    let value = if dice.once_in(2) { value } else { any(dice) };
                    fields.insert(dice.place(fields.len()), (key, value));
                }
                3 if fields.len() > 1 => {
                    let (a, b) = (dice.below(fields.len()), dice.below(fields.len()));
                    fields.swap(a, b);
                }
                4 if fields.len() > 1 => {
                    let (a, b) = (dice.below(fields.len()), dice.below(fields.len()));
                    let value = fields[a].1.clone();
                    fields[b].1 = value;
                }
                5 if !fields.is_empty() => {
                    let at = dice.below(fields.len());
                    mutate_leaf(&mut fields[at].0, dice);
                }
                6 => {
                    let key = quoted(dice.pick(words::KEYS));
                    fields.insert(dice.place(fields.len()), (key, any(dice)));
                }
                7 if !fields.is_empty() => {
                    let at = dice.below(fields.len());
                    fields[at].1 = any(dice);
                }
                8 if !fields.is_empty() => {
                    let at = dice.below(fields.len());
                    if let Some(other) = other {
                        fields[at].1 = other;
                    }
                }
                _ => *node = any(dice),
            },
        }
    }
}

/// A value of any type.
fn any(dice: &mut Dice) -> Node {
    Node::Leaf(match dice.below(12) {
        0..=4 => dice.pick(words::VALUES).to_owned(),
        5 | 6 => dice.pick(words::NUMBERS).to_owned(),
        7 | 8 => quoted(dice.pick(words::TEXTS)),
        9 => {
            let depth = dice.length(3_000);
            let (open, close) = dice.pick(&[("[", "]"), ("{\"a\":", "}")]);
            let inner = if open == "[" { "" } else { "0" };
            format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
        }
        10 => format!("[{}0]", "0,".repeat(dice.length(2_000))),
        _ => format!("\"{}\"", "x".repeat(dice.length(20_000))),
    })
}

fn mutate_leaf(text: &mut String, dice: &mut Dice) {
    if !text.starts_with('"') || text.len() < 2 || dice.once_in(3) {
        let Node::Leaf(other) = any(dice) else { return };
        *text = if dice.once_in(3) {
            dice.pick(words::NUMBERS).to_owned()
        } else {
            other
        };
        return;
    }
    // Inside of the quotes, at a character.
    let mut at = 1 + dice.below(text.len() - 1);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    match dice.below(6) {
        0 | 1 => text.insert_str(at, &escaped(dice.pick(words::TEXTS))),
        2 => text.insert_str(at, dice.pick(words::ESCAPES)),
        3 => *text = quoted(dice.pick(words::TEXTS)),
        4 => {
            text.truncate(at);
            text.push('"');
        }
        _ => {
            let inner = text[1..text.len() - 1].to_owned();
            text.insert_str(1, &inner);
        }
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

fn escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Leaf(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Leaf(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Leaf(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Leaf(serde_json::Value::from(value).to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Leaf(quoted(value)))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf("null".to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        Ok(Node::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Node, A::Error> {
        let mut all = Vec::new();
        while let Some((key, value)) = fields.next_entry::<String, Node>()? {
            all.push((quoted(&key), value));
        }
        Ok(Node::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_duplicates_are_kept() {
        let text = r#"{"b":[1,-2.5,"\"\\ü"],"a":null,"a":{"x":true}}"#;
        assert_eq!(Node::parse(text.as_bytes()).expect("JSON").text(), text);
        assert_eq!(Node::parse(b"{"), None);
    }

    #[test]
    fn each_node_has_a_number() {
        let mut tree = Node::parse(br#"{"a":[1,2],"b":3}"#).expect("JSON");
        let texts: Vec<String> = (0..tree.count())
            .map(|number| tree.at(number).expect("a node").text())
            .collect();
        assert_eq!(texts, [r#"{"a":[1,2],"b":3}"#, "[1,2]", "1", "2", "3"]);
        assert_eq!(tree.at(5), None);
    }

    #[test]
    fn mutating_changes_something_most_of_the_time() {
        let text = r#"{"choices":[{"delta":{"content":"Hello"},"index":0}],"id":"x"}"#;
        let changed = (0..500).filter(|seed| {
            let mut tree = Node::parse(text.as_bytes()).expect("JSON");
            tree.mutate(&mut Dice::of(*seed, 0));
            tree.text() != text
        });
        assert!(changed.count() > 400);
    }
}
