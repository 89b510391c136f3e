//! Which models there are, and why there are none.

use serde_json::json;

use super::Subject;
use super::findings::{Findings, is_fault};
use super::settings::judge_notes;
use super::subject::told;
use crate::bindings::types::{Catalog, Model};
use crate::exercise::{Answer, Ending, Failure, NoAnswer, Reply, Step};

super::checks! { Catalog:
    "well-formed",
    "Every entry has an id that no other has, a name, an input, a context, a limit within it, and prices that are finite and not negative.",
    "types.model, types.cost, types.catalog.models: ids are unique",
    well_formed;
    "one-request",
    "A listing takes at most one request, whatever comes back.",
    "catalog.list-models: sends at most one request",
    one_request;
    "typed",
    "A listing that fails says why: the key, the address, the server, the network.",
    "types.error-kind; catalog.list-models",
    typed;
    "empty",
    "A catalog without models has a note that says why.",
    "types.catalog.notes: why the list is empty or shorter than one would expect",
    empty;
    "declared",
    "Models that the configuration declares are listed without a request.",
    "catalog.list-models: none where the settings declare the models",
    declared;
    "found",
    "`resolve-model` of a listed id gives the listed entry.",
    "catalog.resolve-model: finds one model by id; types.model.id: verbatim",
    found;
    "not-found",
    "`resolve-model` of an id that is not listed is `model-not-found`.",
    "types.error-kind.model-not-found: the model is not there; `message` says why, and which ones are",
    not_found;
    "tells-apart",
    "`resolve-model` tells a refused key and an unreachable server from a model that is not there.",
    "catalog.resolve-model: the error tells apart why there is no such model",
    tells_apart;
}

/// What may come instead of a list of models, and what an error about it may be.
pub(super) fn bad_answers() -> Vec<(&'static str, Reply, &'static [&'static str])> {
    let json = |status| Reply::json(status, &json!({"error": {"message": "no", "code": status}}));
    let page = "<!doctype html><html><head><title>Sign in</title></head><body>…</body></html>";
    let redirect = Reply::Answer(Answer {
        status: 302,
        headers: vec![(
            "location".to_owned(),
            "https://example.com/".to_owned().into(),
        )],
        steps: Vec::new(),
        end: Ending::Complete,
    });
    let no = Reply::NoAnswer;
    let cut = |end| Reply::new(200, "application/json", "{\"da").ending(end);
    vec![
        ("401", json(401), &["authentication"]),
        ("403", json(403), &["permission"]),
        (
            "404",
            json(404),
            &["invalid-config", "model-not-found", "invalid-request"],
        ),
        ("429", json(429), &["rate-limited", "overloaded"]),
        ("500", json(500), &["server"]),
        ("503", json(503), &["overloaded", "server"]),
        ("a redirect", redirect, &["invalid-config", "protocol"]),
        (
            "a page of a proxy",
            Reply::new(200, "text/html", page),
            &["protocol"],
        ),
        (
            "no bytes",
            Reply::new(200, "application/json", ""),
            &["protocol"],
        ),
        (
            "no JSON",
            Reply::new(200, "application/json", "\u{0}garbage"),
            &["protocol"],
        ),
        (
            "JSON of another shape",
            Reply::new(200, "application/json", "{\"x\":[1]}"),
            &["protocol"],
        ),
        (
            "a closed connection",
            no(NoAnswer::Closed),
            &["interrupted"],
        ),
        ("silence", no(NoAnswer::Silent), &["timeout"]),
        (
            "an answer that is cut",
            cut(Ending::Closed),
            &["interrupted"],
        ),
        ("silence in the middle", cut(Ending::Silent), &["timeout"]),
        (
            "a refused connection",
            no(NoAnswer::Refused),
            &["unreachable"],
        ),
        (
            "a name that is none",
            no(NoAnswer::NoName),
            &["unreachable"],
        ),
        (
            "a bad certificate",
            no(NoAnswer::Certificate),
            &["unreachable"],
        ),
        ("no HTTP", no(NoAnswer::NoHttp), &["protocol"]),
    ]
}

/// The recorded listings that the plugin makes a catalog of.
///
/// A recording with status 200 may still hold an error of the server's, so that one without a
/// catalog is no fault unless it is known to be a list. A plugin that was stopped is one.
async fn good(subject: &Subject, findings: &mut Findings) -> Vec<(String, Reply, Catalog)> {
    let mut all = Vec::new();
    let mut failed = None;
    for recorded in subject.listings() {
        if !recorded.is_good() {
            continue;
        }
        let name = recorded.exchange.name.clone();
        let reply = Reply::of(&recorded.exchange);
        match subject
            .list(&subject.settings(), reply.clone())
            .await
            .result
        {
            Ok(catalog) => all.push((name, reply, catalog)),
            Err(failure) if is_fault(&failure) || recorded.ends_well() => {
                findings.expect(false, &name, || told(&failure));
            }
            Err(failure) => failed = Some(format!("{name} gave {}", told(&failure))),
        }
    }
    if all.is_empty() {
        findings.skip(&match failed {
            Some(failed) => format!("no recorded list of models gave a catalog; {failed}"),
            None => subject.no_listings(),
        });
    }
    all
}

async fn well_formed(subject: &Subject, findings: &mut Findings) {
    for (name, _, catalog) in good(subject, findings).await {
        judge_notes(findings, &name, &catalog.notes);
        let mut ids = std::collections::HashSet::new();
        for model in &catalog.models {
            let wrong = wrong(model);
            findings.expect(wrong.is_none(), &name, || {
                format!("{:?} {}", model.id, wrong.unwrap_or_default())
            });
            findings.expect(ids.insert(&model.id), &name, || {
                format!("the id {:?} twice", model.id)
            });
        }
        findings.tried();
    }
}

/// What is wrong with an entry.
fn wrong(model: &Model) -> Option<&'static str> {
    let cost = &model.cost;
    let prices = [cost.input, cost.output, cost.cache_read, cost.cache_write];
    let bad_price = |price: &f64| !price.is_finite() || *price < 0.0;
    let complaints = [
        (model.id.is_empty(), "has an empty id"),
        (model.name.is_empty(), "has no name"),
        (model.input.is_empty(), "reads nothing"),
        (model.context_window == 0, "has a context of 0"),
        (model.max_tokens == 0, "has a limit of 0"),
        (
            model.max_tokens > model.context_window,
            "has a limit above its context",
        ),
        (
            prices.iter().any(bad_price),
            "has a price that is negative or no number",
        ),
    ];
    let wrong = complaints.into_iter().find(|(wrong, _)| *wrong);
    wrong.map(|(_, what)| what)
}

async fn one_request(subject: &Subject, findings: &mut Findings) {
    let mut all: Vec<(String, Reply)> = Vec::new();
    for recorded in subject.listings() {
        all.push((
            recorded.exchange.name.clone(),
            Reply::of(&recorded.exchange),
        ));
    }
    all.extend(
        bad_answers()
            .into_iter()
            .map(|(name, reply, _)| (name.to_owned(), reply)),
    );
    for (name, reply) in all {
        let asked = subject.list(&subject.settings(), reply).await;
        if findings.stopped(&name, asked.failure()) || findings.enough() {
            return;
        }
        findings.expect(asked.requests.len() <= 1, &name, || {
            format!("{} requests", asked.requests.len())
        });
        if let Some(request) = asked.requests.first() {
            findings.expect(
                request.method == "GET" && request.body.is_empty(),
                &name,
                || {
                    format!(
                        "{} with {} bytes, to list",
                        request.method,
                        request.body.len()
                    )
                },
            );
        }
    }
}

async fn typed(subject: &Subject, findings: &mut Findings) {
    for (name, reply, kinds) in bad_answers() {
        let not_sent = kinds == ["unreachable"];
        let asked = subject.list(&subject.settings(), reply).await;
        if findings.stopped(name, asked.failure()) || findings.enough() {
            return;
        }
        if asked.requests.is_empty() {
            findings.skip("it lists its models without a request");
            return;
        }
        let good = asked.failure().is_some_and(|failure| {
            kinds.contains(&failure.kind.as_str()) && failure.request_sent != not_sent
        });
        findings.expect(good, name, || {
            let came = asked.told(|catalog| format!("a catalog of {}", catalog.models.len()));
            let sent = asked
                .failure()
                .map_or("", |failure| match failure.request_sent {
                    true => " (sent)",
                    false => " (not sent)",
                });
            format!("expected {}, came {came}{sent}", kinds.join(" or "))
        });
    }
}

async fn empty(subject: &Subject, findings: &mut Findings) {
    let mut answers: Vec<(String, Reply)> = Vec::new();
    for recorded in subject.listings() {
        answers.push((
            recorded.exchange.name.clone(),
            Reply::of(&recorded.exchange),
        ));
    }
    // Lists of no model, in the shapes that there are.
    for body in [r#"{"object":"list","data":[]}"#, r#"{"models":[]}"#, "[]"] {
        answers.push((body.to_owned(), Reply::new(200, "application/json", body)));
    }
    for (name, reply) in answers {
        let asked = subject.list(&subject.settings(), reply).await;
        if findings.stopped(&name, asked.failure()) {
            return;
        }
        if let Ok(catalog) = &asked.result
            && catalog.models.is_empty()
        {
            judge_notes(findings, &name, &catalog.notes);
            findings.expect(!catalog.notes.is_empty(), &name, || "no note".to_owned());
        }
    }
    findings.skip("no answer gave an empty catalog");
}

async fn declared(subject: &Subject, findings: &mut Findings) {
    let schema = &subject.plugin.manifest().config_schema;
    let schema: serde_json::Value = serde_json::from_str(schema).unwrap_or_default();
    if schema.pointer("/properties/models").is_none() {
        findings.skip("its schema has no `models`");
        return;
    }
    let mut settings = subject.configured(&[("models", json!([{"id": "declared-model"}]))]);
    settings.discover = false;
    let reply = Reply::new(500, "text/plain", "");
    let list = subject.list(&settings, reply.clone()).await;
    let done = "a configuration that declares `declared-model`";
    if findings.stopped(done, list.failure()) {
        return;
    }
    // The contract leaves the form of a configuration to the provider.
    if let Some(refused) = list.failure().filter(|one| one.kind == "invalid-config") {
        let why = format!(
            "its models are declared in another form: {}",
            refused.message
        );
        findings.skip(&why);
        return;
    }
    let there = |catalog: &Catalog| {
        catalog
            .models
            .iter()
            .any(|model| model.id == "declared-model")
    };
    let good = list.result.as_ref().is_ok_and(there) && list.requests.is_empty();
    findings.expect(good, done, || {
        let came = list.told(|catalog| format!("{} models", catalog.models.len()));
        format!("{came}, {} requests", list.requests.len())
    });
    let resolve = subject.resolve(&settings, "declared-model", reply).await;
    let good = resolve.result.is_ok() && resolve.requests.is_empty();
    findings.expect(good, done, || {
        let came = resolve.told(|model| format!("the model {:?}", model.id));
        format!(
            "resolve-model gives {came}, {} requests",
            resolve.requests.len()
        )
    });
}

/// Most entries of one list that are asked for one by one.
const ASKED: usize = 8;

async fn found(subject: &Subject, findings: &mut Findings) {
    for (name, reply, catalog) in good(subject, findings).await {
        for model in catalog.models.iter().take(ASKED) {
            let again = subject
                .resolve(&subject.settings(), &model.id, reply.clone())
                .await;
            let done = format!("{name}: {:?}", model.id);
            if findings.stopped(&done, again.failure()) || findings.enough() {
                return;
            }
            let same = again.result.as_ref().is_ok_and(|again| again == model);
            findings.expect(same, &done, || {
                again.told(|found| format!("another entry: {found:?}, listed was {model:?}"))
            });
        }
    }
}

async fn not_found(subject: &Subject, findings: &mut Findings) {
    for (name, reply, catalog) in good(subject, findings).await {
        for id in ["no-such-model-zz", "", "\u{1b}[31m\r\n", "a/b/c"] {
            let found = subject
                .resolve(&subject.settings(), id, reply.clone())
                .await;
            let done = format!("{name}: {id:?}");
            if findings.stopped(&done, found.failure()) || findings.enough() {
                return;
            }
            let typed = |failure: &Failure| {
                failure.kind == "model-not-found" && !failure.message.contains(char::is_control)
            };
            findings.expect(found.failure().is_some_and(typed), &done, || {
                found.told(|model| format!("the model {:?}", model.id))
            });
        }
        // One whose id a message may quote as it is.
        let mut models = catalog.models.iter();
        if let Some(first) = models.find(|model| is_plain(&model.id)) {
            let near = near(&first.id, &catalog);
            let recorded = reply.clone();
            let found = subject.resolve(&subject.settings(), &near, reply).await;
            let names = |failure: &Failure| failure.message.contains(&first.id);
            findings.expect(found.failure().is_some_and(names), &near, || {
                found.told(|model| format!("the model {:?}", model.id))
            });
            let evil = with_evil_id(&recorded, &first.id);
            let found = subject.resolve(&subject.settings(), "zz", evil).await;
            let done = format!("{name}, where an id is zz, an escape and ten thousand letters");
            if findings.stopped(&done, found.failure()) {
                return;
            }
            let harmless = |failure: &Failure| {
                !failure.message.contains(char::is_control) && failure.message.len() <= 8 << 10
            };
            findings.expect(found.failure().is_some_and(harmless), &done, || {
                found.told(|model| format!("the model {:?}", model.id))
            });
        }
    }
}

/// Whether a message has no reason to write an id otherwise than it is.
fn is_plain(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\' | b'`');
    !id.is_empty() && id.len() <= 128 && id.bytes().all(plain)
}

/// An id close to `id` that the catalog does not have.
fn near(id: &str, catalog: &Catalog) -> String {
    let mut near = format!("{id}x");
    while catalog.models.iter().any(|model| model.id == near) {
        near.push('x');
    }
    near
}

/// A list whose server has an id that nobody should print.
fn with_evil_id(listing: &Reply, id: &str) -> Reply {
    let mut listing = listing.clone();
    if let Reply::Answer(answer) = &mut listing {
        let body = String::from_utf8_lossy(&answer.body()).into_owned();
        let evil = format!("\"zz\\u001b[31m\\u009b{}\"", "x".repeat(10_000));
        let body = body.replace(&format!("\"{id}\""), &evil);
        answer.steps = vec![Step::Bytes(body.into())];
        answer.headers.retain(|(name, _)| name != "content-length");
    }
    listing
}

async fn tells_apart(subject: &Subject, findings: &mut Findings) {
    for (name, reply, kinds) in bad_answers() {
        let kind = kinds.first().copied().unwrap_or_default();
        if !matches!(
            kind,
            "authentication" | "permission" | "unreachable" | "server" | "timeout"
        ) {
            continue;
        }
        let asked = subject.resolve(&subject.settings(), "a-model", reply).await;
        if findings.stopped(name, asked.failure()) || findings.enough() {
            return;
        }
        if asked.requests.is_empty() {
            findings.skip("it resolves models without a request");
            return;
        }
        let good = asked
            .failure()
            .is_some_and(|failure| kinds.contains(&failure.kind.as_str()));
        findings.expect(good, name, || {
            let came = asked.told(|model| format!("the model {:?}", model.id));
            format!("expected {kind}, came {came}")
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::types::CatalogSource;

    #[test]
    fn an_id_that_is_near_another_is_not_listed() {
        let ids = ["a", "ax", "axx", "b"];
        let catalog = Catalog {
            source: CatalogSource::Discovered,
            models: ids.map(|id| Model::new(id, 1, 1)).to_vec(),
            notes: Vec::new(),
        };
        assert_eq!(near("a", &catalog), "axxx");
        assert_eq!(near("b", &catalog), "bx");
        assert!(is_plain("meta-llama/Llama-3.1-8B:free"));
        for odd in ["", "two words", "a\"b", "a\\b", "a\u{1b}b", "é"] {
            assert!(!is_plain(odd), "{odd:?}");
        }
    }
}
