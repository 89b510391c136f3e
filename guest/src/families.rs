//! What is known of a model from nothing but its name.
//!
//! `GET /v1/models` says no word about capabilities (vLLM has no such field),
//! so a discovered model is judged by its id. OpenClaw does it with one regular
//! expression, `/r1|reasoning|think|reason/i`, which takes `r10` for a reasoning
//! model and Qwen3 and gpt-oss for none, and it knows no vision model at all.
//! Here an id is cut into words, and a table names the families. A declared
//! model is never judged: what the user wrote counts.
//!
//! To add a family, add a row and a line in the test below, with the source.

use alloc::vec::Vec;

use crate::number::parse_integer;
use crate::text;

/// How a family's thinking is switched, per request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thinking {
    /// It can't be, or nobody knows how.
    Fixed,
    /// `chat_template_kwargs.enable_thinking` (GLM-4.5, SmolLM3, MiMo-V2,
    /// EXAONE 4).
    Enable,
    /// The same and `preserve_thinking` (Qwen3; OpenClaw's
    /// `qwen-chat-template`).
    EnableAndPreserve,
    /// `enable_thinking` and `force_nonempty_content`, only to switch it off
    /// (Nemotron 3; OpenClaw's vLLM plugin).
    Nemotron3,
    /// `chat_template_kwargs.thinking`, and `enable_thinking` for servers that
    /// map it (DeepSeek V3.1 and later, Kimi K2.5, Granite 3.2).
    Both,
    /// `reasoning_effort` in the body: low, medium or high (gpt-oss).
    Effort,
}

/// What a name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traits {
    /// Thinks before it answers.
    pub reasoning: bool,
    /// Reads images.
    pub vision: bool,
    /// How the thinking is switched.
    pub thinking: Thinking,
}

/// A row. It holds for an id where the words of `name` stand side by side, the
/// version behind them (`3`, `V3.1`, `K2.5`, `4.5v`; also glued on: `qwen3`) is
/// in `from..below`, one of the words of `any` is in the id, and none of
/// `never`. Versions are major × 100 + minor; a row without bounds needs none.
struct Family {
    name: &'static str,
    from: u32,
    below: u32,
    any: &'static str,
    never: &'static str,
    gives: u8,
    thinking: Thinking,
}

const R: u8 = 1;
const V: u8 = 2;
const LATER: u32 = 10_000;

const fn row(name: &'static str, gives: u8) -> Family {
    Family {
        name,
        from: 0,
        below: 0,
        any: "",
        never: "",
        gives,
        thinking: Thinking::Fixed,
    }
}

impl Family {
    const fn versions(mut self, from: u32, below: u32) -> Self {
        self.from = from;
        self.below = below;
        self
    }
    const fn any(mut self, words: &'static str) -> Self {
        self.any = words;
        self
    }
    const fn never(mut self, words: &'static str) -> Self {
        self.never = words;
        self
    }
    const fn by(mut self, thinking: Thinking) -> Self {
        self.thinking = thinking;
        self
    }
}

/// Sources: the model cards of the families at huggingface.co, vLLM's list of
/// supported multimodal models (docs.vllm.ai, "Supported Models") and its
/// reasoning parsers ("Reasoning Outputs").
static FAMILIES: &[Family] = &[
    // Words that OpenClaw goes by, as whole words.
    row("r1", R),
    row("reason", R),
    row("reasoning", R),
    row("reasoner", R),
    row("think", R).never("no non"),
    row("thinking", R).never("no non"),
    row("thinker", R),
    // Qwen: 3 thinks unless it is an Instruct or Coder edition; from 3.5 on it
    // reads images in every edition but Coder.
    row("qwen", R)
        .versions(300, 400)
        .never("instruct coder embedding reranker guard asr tts")
        .by(Thinking::EnableAndPreserve),
    row("qwen", V)
        .versions(305, 400)
        .never("coder embedding reranker guard asr tts"),
    row("qwen", V).any("omni"),
    row("qwq", R),
    row("qvq", R | V),
    // DeepSeek: R1 by its word; V3.1 made thinking a switch.
    row("deepseek", R).versions(301, LATER).by(Thinking::Both),
    row("gpt oss", R).by(Thinking::Effort),
    // Nemotron: from 3 on a switch of the template; before, the Nano, Super and
    // Ultra editions think. `instruct` and `reward` editions do not.
    row("nemotron", R)
        .versions(300, 400)
        .never("reward embed")
        .by(Thinking::Nemotron3),
    row("nemotron", R)
        .any("nano super ultra")
        .never("instruct reward embed"),
    row("openreasoning", R),
    row("acereason", R),
    // GLM: 4.5 and later; Z1 before. A `v` behind the version reads images.
    row("glm", R).versions(405, LATER).by(Thinking::Enable),
    row("glm z1", R),
    row("glm", V).versions(400, LATER).any("v"),
    // Kimi: K2 Thinking and VL-Thinking by their word.
    row("kimi", R | V).versions(205, LATER).by(Thinking::Both),
    // Mistral: Magistral thinks; vision since Small 3.1, Medium 3, Large 3,
    // Ministral 3, Devstral Small 2, Magistral 1.2 (2509).
    row("magistral", R),
    row("magistral", V).any("2509"),
    row("mistral small", V).versions(301, LATER),
    row("mistral medium", V).versions(300, LATER),
    row("mistral large", V).versions(300, LATER),
    row("ministral", V).versions(300, LATER),
    row("devstral small", V).versions(200, LATER),
    row("pixtral", V),
    // Others that think.
    row("minimax", R).versions(100, LATER),
    row("mimo", R).never("base").by(Thinking::Enable),
    row("smollm", R)
        .versions(300, 400)
        .never("base")
        .by(Thinking::Enable),
    row("seed oss", R),
    row("hunyuan a13b", R),
    row("exaone deep", R),
    row("exaone", R).versions(400, LATER).by(Thinking::Enable),
    row("granite", R)
        .versions(302, 400)
        .never("base vision embedding guardian speech code")
        .by(Thinking::Both),
    row("intern s1", R | V),
    row("step3", R | V),
    row("step", R).versions(305, 306),
    row("ring", R).any("1t flash mini lite linear"),
    row("openthinker", R),
    row("marco o1", R),
    row("sky t1", R),
    // Others that read images.
    row("vl", V).never("embedding reranker"),
    row("vlm", V),
    row("vision", V),
    row("multimodal", V),
    row("ocr", V),
    row("olmocr", V),
    row("llava", V),
    row("internvl", V),
    row("gemma", V).versions(300, LATER).never("1b 270m"),
    row("medgemma", V).never("text"),
    row("paligemma", V),
    row("llama", V).versions(400, LATER),
    row("llama guard", V).versions(400, LATER),
    row("minicpm", V).any("v o"),
    row("molmo", V),
    row("ovis", V),
    row("idefics", V),
    row("smolvlm", V),
    row("cogvlm", V),
    row("moondream", V),
    row("ui tars", V),
    row("keye", V),
];

/// Judges a model by its id, such as `Qwen/Qwen3-8B`.
pub fn traits(id: &str) -> Traits {
    let lower = id.to_ascii_lowercase();
    let words = words(&lower);
    let mut found = Traits {
        reasoning: false,
        vision: false,
        thinking: Thinking::Fixed,
    };
    for family in FAMILIES {
        if holds(family, &words) {
            found.reasoning |= family.gives & R != 0;
            found.vision |= family.gives & V != 0;
            if found.thinking == Thinking::Fixed {
                found.thinking = family.thinking;
            }
        }
    }
    found
}

/// Cuts at everything but letters, digits, and the point inside a number.
fn words(id: &str) -> Vec<&str> {
    let bytes = id.as_bytes();
    let digit = |at: Option<usize>| {
        at.and_then(|at| bytes.get(at))
            .is_some_and(u8::is_ascii_digit)
    };
    let mut words = Vec::new();
    let mut start = 0;
    for (at, character) in id.char_indices() {
        let inside = character.is_ascii_alphanumeric()
            || (character == '.' && digit(at.checked_sub(1)) && digit(Some(at + 1)));
        if !inside {
            words.push(text::between(id, start, at));
            start = at + character.len_utf8();
        }
    }
    words.push(text::from(id, start));
    words.retain(|word| !word.is_empty());
    words
}

fn holds(family: &Family, words: &[&str]) -> bool {
    let first = family.name.as_bytes().first();
    (0..words.len()).any(|at| {
        let from = words.get(at..).unwrap_or_default();
        // Most rows have nothing in common with an id, and a server may list thousands.
        if from.first().and_then(|word| word.as_bytes().first()) != first {
            return false;
        }
        let Some((rest, glued)) = behind(family.name, from) else {
            return false;
        };
        let version = match glued {
            Some(glued) => version(glued),
            None => rest.first().and_then(|word| version(word)),
        };
        let in_range = match (family.below, version) {
            (0, _) => glued.is_none() || version.is_some(),
            (_, None) => false,
            (below, Some((version, _))) => (family.from..below).contains(&version),
        };
        let suffix = version.map_or("", |(_, suffix)| suffix);
        in_range
            && (family.any.is_empty()
                || text::pieces(family.any, b" ")
                    .any(|word| word == suffix || words.contains(&word)))
            && !text::pieces(family.never, b" ").any(|word| words.contains(&word))
    })
}

/// What stands behind the family's name: the further words, and what is glued
/// to its last word.
fn behind<'a, 'w>(name: &str, words: &'w [&'a str]) -> Option<(&'w [&'a str], Option<&'a str>)> {
    let mut rest = words;
    let mut glued = None;
    for part in text::pieces(name, b" ") {
        if glued.is_some() {
            return None;
        }
        let (word, further) = rest.split_first()?;
        let tail = word.strip_prefix(part)?;
        glued = Some(tail).filter(|tail| !tail.is_empty());
        // A name that ends in a digit ends there: `r10` is no `r1`.
        if glued.is_some() && part.as_bytes().last().is_some_and(u8::is_ascii_digit) {
            return None;
        }
        rest = further;
    }
    Some((rest, glued))
}

/// Reads `3`, `v3.1`, `k2.5`, `4.5v`, `3n`: the version and the letter behind
/// it. Sizes (`8b`, `128k`, `1t`) and dates (`2507`) are no versions.
fn version(word: &str) -> Option<(u32, &str)> {
    let digits = word.strip_prefix(['v', 'k', 'm']).unwrap_or(word);
    let inside = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    let end = digits.bytes().take_while(|byte| inside(byte)).count();
    let (number, suffix) = text::cut(digits, end);
    if !matches!(suffix, "" | "v" | "n") {
        return None;
    }
    let (major, minor) = text::split(number, ".").unwrap_or((number, "0"));
    let below_100 = |text| parse_integer(text).filter(|number| *number < 100);
    Some(((below_100(major)? * 100 + below_100(minor)?) as u32, suffix))
}

#[cfg(test)]
mod tests;
