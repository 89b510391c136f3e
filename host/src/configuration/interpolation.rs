//! `${NAME}` in string values, by OpenClaw's rules.
//!
//! NAME is `[A-Z_][A-Z0-9_]*`; it may stand anywhere and several times; one
//! pass, so a value that holds `${OTHER}` is not looked into; `$${NAME}` is the
//! literal `${NAME}`; anything else stays as it is. A variable that is missing
//! or empty is an error naming variable and path.

use super::environment::Environment;
use super::error::ConfigError;

/// A piece of a string value.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    Literal(&'a str),
    Variable(&'a str),
}

/// Whether `text` can be the name of a variable.
pub(super) fn is_variable_name(text: &str) -> bool {
    name_length(text) == text.len() && !text.is_empty()
}

/// Whether `text` uses a variable.
pub(super) fn uses_variables(text: &str) -> bool {
    pieces(text).any(|piece| matches!(piece, Piece::Variable(_)))
}

/// The name of the variable, if `text` is nothing but `${NAME}`.
pub(crate) fn sole_variable(text: &str) -> Option<&str> {
    let mut pieces = pieces(text);
    match (pieces.next(), pieces.next()) {
        (Some(Piece::Variable(name)), None) => Some(name),
        _ => None,
    }
}

/// Replaces the variables of `text`. Every value passes through `replace`
/// (with the variable's name) before it is put in, which is where a secret
/// becomes a placeholder.
pub(super) fn interpolate(
    text: &str,
    path: &str,
    environment: &Environment<'_>,
    replace: &mut dyn FnMut(&str, String) -> Result<String, ConfigError>,
) -> Result<String, ConfigError> {
    let mut result = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Literal(literal) => result.push_str(literal),
            Piece::Variable(name) => {
                let value = environment(name)
                    .filter(|value| !value.is_empty())
                    .ok_or_else(|| ConfigError::MissingVariable {
                        variable: name.to_owned(),
                        path: path.to_owned(),
                    })?;
                result.push_str(&replace(name, value)?);
            }
        }
    }
    Ok(result)
}

/// [`interpolate`] for values that are no secret.
pub(super) fn interpolate_plain(
    text: &str,
    path: &str,
    environment: &Environment<'_>,
) -> Result<String, ConfigError> {
    interpolate(text, path, environment, &mut |_, value| Ok(value))
}

/// Length of the longest variable name at the start of `text`.
fn name_length(text: &str) -> usize {
    let allowed = |(index, byte): (usize, u8)| {
        byte == b'_' || byte.is_ascii_uppercase() || (index > 0 && byte.is_ascii_digit())
    };
    text.bytes()
        .enumerate()
        .take_while(|at| allowed(*at))
        .count()
}

/// Cuts `text` at its variables and escapes.
fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        // The reference that `rest` starts with, if it does: an escape gives
        // back the text behind its first `$`.
        let escaped = rest.starts_with("$$");
        let dollar = usize::from(escaped);
        if let Some(length) = reference_length(&rest[dollar..]) {
            let (head, tail) = rest.split_at(dollar + length);
            rest = tail;
            return Some(if escaped {
                Piece::Literal(&head[1..])
            } else {
                Piece::Variable(&head[2..head.len() - 1])
            });
        }
        // Otherwise literal text up to the next `$` behind this character. In
        // `$$${A}` the first `$` is literal and an escape follows.
        let step = rest.chars().next().map_or(1, char::len_utf8);
        let end = rest[step..]
            .find('$')
            .map_or(rest.len(), |offset| step + offset);
        let (head, tail) = rest.split_at(end);
        rest = tail;
        Some(Piece::Literal(head))
    })
}

/// Length of the `${NAME}` that `text` starts with.
fn reference_length(text: &str) -> Option<usize> {
    let inside = text.strip_prefix("${")?;
    let name = name_length(inside);
    (name > 0 && inside[name..].starts_with('}')).then_some(name + 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "A" => Some("one".into()),
            "_B2" => Some("two".into()),
            "NESTED" => Some("${A}".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn variables_are_replaced_by_the_rules() {
        let cases = [
            ("${A}", "one"),
            ("x${A}y${_B2}z${A}", "xoneytwozone"),
            ("${A}${A}", "oneone"),
            ("ü${A}ü", "üoneü"),
            // One pass.
            ("${NESTED}", "${A}"),
            // Escapes.
            ("$${A}", "${A}"),
            ("$${MISSING}", "${MISSING}"),
            ("a$${A}b${A}", "a${A}bone"),
            ("$$${A}", "$${A}"),
            // Anything else stays.
            ("", ""),
            ("$", "$"),
            ("$$", "$$"),
            ("$A", "$A"),
            ("${a}", "${a}"),
            ("${A-B}", "${A-B}"),
            ("${A", "${A"),
            ("${}", "${}"),
            ("${1A}", "${1A}"),
            ("${ A }", "${ A }"),
            ("${A:-x}", "${A:-x}"),
            ("$${a}", "$${a}"),
            ("${${A}}", "${one}"),
            ("${Aé}", "${Aé}"),
        ];
        for (text, expected) in cases {
            assert_eq!(
                interpolate_plain(text, "p", &environment).unwrap(),
                expected,
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_missing_or_empty_variable_is_named_with_its_path() {
        for name in ["MISSING", "EMPTY"] {
            let error = interpolate_plain(
                &format!("x${{{name}}}"),
                "models.providers.vllm.apiKey",
                &environment,
            )
            .unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "environment variable {name} is not set, and models.providers.vllm.apiKey \
                     uses it: set it, or write $${{{name}}} if the text itself is meant"
                )
            );
        }
    }

    #[test]
    fn a_text_tells_whether_it_uses_variables() {
        assert!(uses_variables("Bearer ${A}"));
        assert!(!uses_variables("$${A} ${a} $A"));
        assert_eq!(sole_variable("${A}"), Some("A"));
        assert_eq!(sole_variable("x${A}"), None);
        assert_eq!(sole_variable("${A} "), None);
        assert!(is_variable_name("VLLM_API_KEY") && is_variable_name("_1"));
        assert!(!is_variable_name("1A") && !is_variable_name("") && !is_variable_name("A-B"));
    }

    #[test]
    fn only_the_values_of_variables_pass_through_the_replacement() {
        let mut seen = Vec::new();
        let text = interpolate("Bearer ${A}", "p", &environment, &mut |name, value| {
            seen.push((name.to_owned(), value));
            Ok("<1>".into())
        })
        .unwrap();
        assert_eq!(text, "Bearer <1>");
        assert_eq!(seen, [(String::from("A"), String::from("one"))]);
    }
}
