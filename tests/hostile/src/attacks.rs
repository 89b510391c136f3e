//! The attacks, each by itself.

mod computing;
mod credit;
mod exchanges;
mod giants;
mod handles;
mod headers;
mod hoards;
mod key;
pub(crate) mod lies;
mod memory;
mod origins;
mod returns;

use crate::Orders;
use crate::bindings::llm::provider::types::{Error, Event};
use crate::border::{self, Returned};
use crate::http::Ask;

/// An attack.
pub(crate) enum Attack {
    /// It does something; what became of its steps, if it comes back at all.
    Does(fn(&Orders) -> Vec<String>),
    /// It gives this answer, call by call.
    Says(fn(&Orders, u32) -> Result<Vec<Event>, Error>),
    /// It returns memory that is no answer.
    Returns(Returned),
}

use Attack::{Does, Returns, Says};

/// All of them by name.
pub(crate) const ALL: &[(&str, Attack)] = &[
    ("endless-loop", Does(computing::endless_loop)),
    ("endless-host-calls", Does(computing::endless_host_calls)),
    ("costly-host-calls", Does(computing::costly_host_calls)),
    ("bulk-instructions", Does(computing::bulk_instructions)),
    ("endless-yields", Does(computing::endless_yields)),
    ("endless-wait", Does(computing::endless_wait)),
    ("longest-wait", Does(computing::longest_wait)),
    ("recursion", Does(computing::recursion)),
    ("recursion-in-memory", Does(computing::recursion_in_memory)),
    ("trap", Does(computing::trap)),
    ("poll-of-nothing", Does(computing::poll_of_nothing)),
    ("poll-of-many", Does(computing::poll_of_many)),
    ("poll-of-millions", Does(computing::poll_of_millions)),
    ("clock-resolution", Does(computing::clock_resolution)),
    ("memory", Does(memory::growth)),
    ("memory-by-pages", Does(memory::growth_by_pages)),
    ("memory-at-once", Does(memory::growth_at_once)),
    ("memory-touched", Does(memory::touched)),
    ("memory-of-others", Does(memory::marks_of_others)),
    ("pollables", Does(handles::pollables)),
    ("fields", Does(handles::fields)),
    ("copies-of-fields", Does(handles::copies_of_fields)),
    ("requests", Does(handles::requests)),
    ("request-options", Does(handles::request_options)),
    ("made-and-dropped", Does(handles::made_and_dropped)),
    ("handle-used-after-drop", Does(handles::used_after_drop)),
    ("handle-dropped-twice", Does(handles::dropped_twice)),
    ("handle-of-another-kind", Does(handles::of_another_kind)),
    ("handle-made-up", Does(handles::made_up)),
    (
        "children-after-parents",
        Does(handles::children_after_parents),
    ),
    ("had-twice", Does(handles::had_twice)),
    (
        "pollable-after-its-subject",
        Does(handles::pollable_after_its_subject),
    ),
    ("giant-path", Does(giants::path)),
    ("giant-authority", Does(giants::authority)),
    ("giant-method", Does(giants::method)),
    ("giant-scheme", Does(giants::scheme)),
    ("giant-header-name", Does(giants::header_name)),
    ("giant-header-value", Does(giants::header_value)),
    ("smaller-giants", Does(giants::smaller_giants)),
    ("giant-body", Does(giants::body)),
    ("header-bytes", Does(giants::header_bytes)),
    ("header-count", Does(giants::header_count)),
    ("header-repeated", Does(giants::header_repeated)),
    ("aliased-headers", Does(giants::aliased_headers)),
    ("aliased-values", Does(giants::aliased_values)),
    ("list-out-of-memory", Does(giants::list_out_of_memory)),
    ("list-without-end", Does(giants::list_without_end)),
    ("result-out-of-memory", Does(giants::result_out_of_memory)),
    (
        "result-at-an-odd-address",
        Does(giants::result_at_an_odd_address),
    ),
    ("text-out-of-memory", Does(giants::text_out_of_memory)),
    ("text-that-is-none", Does(giants::text_that_is_none)),
    (
        "argument-of-no-case",
        Does(giants::discriminant_of_an_argument),
    ),
    ("unfinished-requests", Does(exchanges::unfinished_requests)),
    (
        "body-that-nobody-reads",
        Does(exchanges::body_that_nobody_reads),
    ),
    ("endless-request", Does(exchanges::endless_request)),
    ("dropped-request", Does(exchanges::dropped_request)),
    ("forgotten-requests", Does(exchanges::forgotten_requests)),
    ("kept-answers", Does(exchanges::kept_answers)),
    ("held-answers", Does(exchanges::held_answers)),
    ("endless-answer", Does(exchanges::endless_answer)),
    ("left-answers", Does(exchanges::left_answers)),
    ("no-time", Does(exchanges::no_time)),
    ("all-the-time", Does(exchanges::all_the_time)),
    (
        "silence-again-and-again",
        Does(exchanges::silence_again_and_again),
    ),
    ("other-origins", Does(origins::other_origins)),
    ("metadata-services", Does(origins::metadata)),
    (
        "addresses-by-other-names",
        Does(origins::addresses_by_other_names),
    ),
    ("odd-authorities", Does(origins::odd_authorities)),
    ("odd-paths", Does(origins::odd_paths)),
    ("dots-in-paths", Does(origins::dots)),
    ("body-of-a-get", Does(origins::body_of_a_get)),
    ("odd-methods", Does(origins::odd_methods)),
    ("redirects", Does(origins::redirects)),
    ("line-breaks-in-headers", Does(headers::line_breaks)),
    ("headers-of-the-host", Does(headers::of_the_host)),
    ("headers-as-a-list", Does(headers::as_a_list)),
    ("framing-headers", Does(headers::framing)),
    ("headers-of-proxies", Does(headers::of_proxies)),
    ("headers-of-gateways", Does(headers::of_gateways)),
    ("headers-twice", Does(headers::twice)),
    ("trailers", Does(headers::trailers)),
    (
        "key-outside-header-values",
        Does(key::outside_header_values),
    ),
    ("key-to-another-origin", Does(key::to_another_origin)),
    ("key-in-disguise", Does(key::in_disguise)),
    ("key-in-other-parts", Does(key::in_other_parts)),
    ("key-over-another-scheme", Does(key::over_another_scheme)),
    ("key-with-a-redirect", Does(key::with_a_redirect)),
    ("hoarded-pieces", Does(hoards::pieces)),
    ("hoarded-fields", Does(hoards::fields)),
    ("hoarded-lists", Does(hoards::lists)),
    ("hoarded-copies", Does(hoards::copies)),
    ("hoarded-places", Does(hoards::places)),
    ("hoarded-methods", Does(hoards::methods)),
    ("hoarded-paths", Does(hoards::paths)),
    ("hoarded-trailers", Does(hoards::trailers)),
    ("hoarded-responses", Does(hoards::responses)),
    ("hoarded-heads", Says(hoards::heads)),
    ("hoarded-bodies", Says(hoards::bodies)),
    ("hoarded-handles", Does(hoards::handles)),
    ("hoarded-events", Says(hoards::events)),
    ("endless-text", Says(lies::endless_text)),
    ("endless-thinking", Says(lies::endless_thinking)),
    ("endless-notes", Says(lies::endless_notes)),
    ("endless-extensions", Says(lies::endless_extensions)),
    ("endless-arguments", Says(lies::endless_arguments)),
    ("trickle", Says(lies::trickle)),
    ("computing-trickle", Says(lies::computing_trickle)),
    ("credit-by-single-bytes", Says(credit::by_single_bytes)),
    ("credit-by-bulk", Says(credit::by_bulk)),
    ("credit-spent-at-once", Says(credit::spent_at_once)),
    ("requests-at-once", Says(credit::by_requests)),
    (
        "credit-under-the-slow-clock",
        Says(credit::under_the_slow_clock),
    ),
    ("credit-after-a-pause", Says(credit::after_a_pause)),
    ("giant-event", Says(lies::giant_event)),
    ("more-events-than-asked", Says(lies::more_events_than_asked)),
    ("million-events", Says(lies::million_events)),
    ("million-calls", Says(lies::million_calls)),
    ("trap-in-the-middle", Says(lies::trap_in_the_middle)),
    ("text-before-start", Says(lies::text_before_start)),
    ("second-start", Says(lies::second_start)),
    ("text-after-finish", Says(lies::text_after_finish)),
    ("second-finish", Says(lies::second_finish)),
    ("no-finish", Says(lies::no_finish)),
    ("empty-texts", Says(lies::empty_texts)),
    ("end-of-no-call", Says(lies::end_of_no_call)),
    ("lying-usage", Says(lies::usage)),
    ("giant-error", Says(lies::giant_error)),
    ("error-of-numbers", Says(lies::error_of_numbers)),
    ("escape-sequences", Says(lies::escapes)),
    ("one-request", Says(key::one_request)),
    ("uncalled", Does(uncalled)),
    ("start-request", Does(while_starting)),
    ("manifest-loop", Does(nothing)),
    ("lying-models", Does(nothing)),
    ("lying-count", Does(nothing)),
    ("many-models", Does(nothing)),
    ("many-notes", Does(nothing)),
    (
        "returned-address-outside",
        Returns(returns::address_outside),
    ),
    ("returned-odd-address", Returns(returns::odd_address)),
    ("returned-list-outside", Returns(returns::list_outside)),
    (
        "returned-list-without-end",
        Returns(returns::list_without_end),
    ),
    (
        "returned-list-at-an-odd-address",
        Returns(returns::list_at_an_odd_address),
    ),
    (
        "returned-no-result",
        Returns(returns::neither_list_nor_error),
    ),
    ("returned-no-event", Returns(returns::no_such_event)),
    ("returned-no-reason", Returns(returns::no_such_reason)),
    ("returned-no-option", Returns(returns::no_such_option)),
    ("returned-text-outside", Returns(returns::text_outside)),
    (
        "returned-text-without-end",
        Returns(returns::text_without_end),
    ),
    (
        "returned-text-that-is-none",
        Returns(returns::text_that_is_none),
    ),
    ("returned-aliased-texts", Returns(returns::aliased_texts)),
    ("returned-made-up-handle", Returns(returns::made_up_handle)),
    ("returned-no-handle", Returns(returns::no_handle)),
    (
        "returned-handle-of-another-kind",
        Returns(returns::handle_of_another_kind),
    ),
];

/// Made where the host has nothing to call.
fn uncalled(orders: &Orders) -> Vec<String> {
    vec![Ask::path(&orders.granted, "/x-smuggled").send()]
}

fn while_starting(_: &Orders) -> Vec<String> {
    vec![border::while_starting()]
}

/// The attack is in what the function returns ([`lies`]).
fn nothing(_: &Orders) -> Vec<String> {
    Vec::new()
}
