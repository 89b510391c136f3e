//! What `vllm-provider` does, rule by rule: `docs/behaviour.md` says it, the
//! tests below show it, and [`page`] holds the one to the other.
//!
//! Each test goes the whole way of a real agent: configuration text, key
//! profiles, the component in its sandbox, a socket, and a server that writes
//! down every byte it is sent.

mod answer;
mod calls;
mod case;
mod command;
mod compat;
mod configuration;
mod conversation;
mod discovery;
mod endings;
mod errors;
mod identity;
mod interpolation;
mod keys;
mod messages;
mod mistakes;
pub(crate) mod page;
mod params;
mod proxy;
mod reasoning;
mod request;
mod rows;
mod server;
mod stream;
mod thinking;
mod tls;
mod tools;
mod unknown;
mod usage;
mod user;
mod wire;

#[test]
fn every_rule_of_the_behaviour_page_names_tests_that_exist() {
    let mistakes = page::mistakes_of_the_page();
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}

#[test]
fn every_test_of_the_behaviour_holds_a_rule_of_the_page() {
    let orphans = page::tests_without_a_rule();
    assert!(orphans.is_empty(), "no rule names {}", orphans.join(", "));
}
