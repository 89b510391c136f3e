//! What is looked at, in order. The name of a check is what must be true.

pub(crate) mod aborts;
pub(crate) mod commands;
pub(crate) mod connections;
pub(crate) mod limits;
pub(crate) mod models;
pub(crate) mod reasoning;
pub(crate) mod refusals;
pub(crate) mod scheduling;
pub(crate) mod text;
pub(crate) mod tools;
pub(crate) mod usage;

use crate::harness::{Check, check};
use crate::live::Profile::{self, Auth, Plain, Prio, R1, Think};

const ALL_PROFILES: &[Profile] = &[Auth, Think, Plain, R1, Prio];
/// Servers whose model has a name.
const NAMED: &[Profile] = &[Auth, Think, R1, Prio];
const KEYED: &[Profile] = &[Auth, Think];
/// Servers without a reasoning parser.
const UNPARSED: &[Profile] = &[Auth, Plain];
const PARSED: &[Profile] = &[Think, R1];

/// Every check: its function, its profiles, its limit in seconds. The last one ends the server.
#[rustfmt::skip]
pub(crate) const ALL: &[Check] = &[
    check!(models::the_models_and_their_context_are_discovered, ALL_PROFILES, 30),
    check!(models::an_alias_answers_under_the_first_name, NAMED, 60),
    check!(models::a_model_is_called_by_its_path_where_it_has_no_name, &[Plain], 60),
    check!(models::the_server_tells_its_version, ALL_PROFILES, 30),
    check!(text::a_short_answer_comes_whole, ALL_PROFILES, 60),
    check!(text::an_answer_may_be_empty, ALL_PROFILES, 60),
    check!(text::many_scripts_come_whole, ALL_PROFILES, 60),
    check!(text::code_keeps_its_tabs_and_quotes, ALL_PROFILES, 60),
    check!(text::a_long_answer_loses_nothing, ALL_PROFILES, 60),
    check!(text::a_stop_text_ends_the_answer, &[Auth, Plain], 60),
    check!(text::a_limit_cuts_the_answer, ALL_PROFILES, 60),
    check!(text::structured_output_follows_its_schema, &[Auth, Think, Plain], 120),
    check!(reasoning::thinking_and_answer_are_told_apart, PARSED, 60),
    check!(reasoning::thinking_can_be_switched_off, &[Think], 60),
    check!(reasoning::thinking_without_an_answer_is_not_lost, PARSED, 60),
    check!(reasoning::an_answer_that_the_parser_took_for_thinking_is_explained, PARSED, 60),
    check!(reasoning::inline_thinking_is_split_off_for_a_reasoning_model, UNPARSED, 60),
    check!(reasoning::inline_thinking_of_another_model_stays_text, UNPARSED, 60),
    check!(tools::the_model_may_call_a_tool, KEYED, 60),
    check!(tools::two_calls_come_in_parallel, KEYED, 60),
    check!(tools::parallel_calls_can_be_switched_off, KEYED, 120),
    check!(tools::a_call_may_follow_text, KEYED, 60),
    check!(tools::a_call_may_follow_thinking, &[Think], 60),
    check!(tools::a_call_without_arguments_has_an_empty_object, KEYED, 60),
    check!(tools::long_arguments_with_escapes_come_whole, KEYED, 60),
    check!(tools::a_required_call_is_made, KEYED, 120),
    check!(tools::a_named_tool_is_called, KEYED, 120),
    check!(tools::arguments_that_are_no_json_are_flagged, &[Auth], 60),
    check!(tools::the_result_of_a_call_is_answered, &[Auth, Prio], 60),
    check!(tools::tools_without_a_parser_are_refused, &[Plain], 60),
    check!(usage::the_usage_is_what_the_tokenizer_counts, ALL_PROFILES, 60),
    check!(usage::a_prompt_seen_before_is_read_from_the_cache, KEYED, 120),
    check!(usage::counted_tokens_are_the_tokens_of_the_usage, ALL_PROFILES, 60),
    check!(limits::a_prompt_that_is_too_long_is_a_context_overflow, ALL_PROFILES, 60),
    check!(limits::a_chat_without_a_limit_is_answered, ALL_PROFILES, 60),
    check!(limits::a_limit_that_is_too_large_is_fitted_before_it_is_sent, ALL_PROFILES, 60),
    check!(limits::a_limit_that_is_refused_is_refitted_once, ALL_PROFILES, 60),
    check!(refusals::a_wrong_key_is_refused, KEYED, 30),
    check!(refusals::a_missing_key_is_refused, KEYED, 30),
    check!(refusals::an_unneeded_key_does_no_harm, &[Plain, R1, Prio], 60),
    check!(refusals::an_unknown_model_is_not_found, ALL_PROFILES, 30),
    check!(refusals::an_unknown_model_is_explained_with_the_nearest_name, NAMED, 30),
    check!(refusals::a_value_out_of_range_is_refused, ALL_PROFILES, 30),
    check!(commands::the_command_line_lists_the_models, ALL_PROFILES, 60),
    check!(commands::the_command_line_chats, ALL_PROFILES, 60),
    check!(commands::the_doctor_finds_nothing_wrong, ALL_PROFILES, 60),
    check!(commands::the_command_line_says_that_a_key_is_wrong, KEYED, 60),
    check!(scheduling::the_lower_priority_value_goes_first, &[Prio], 120),
    check!(scheduling::a_chat_that_waits_in_the_queue_is_kept_alive, &[Prio], 120),
    check!(scheduling::a_full_queue_is_overload, &[Prio], 120),
    check!(connections::sixteen_chats_at_once_are_not_mixed_up, &[Auth, Think, Plain, R1], 180),
    check!(connections::a_connection_is_used_again, &[Auth], 60),
    check!(connections::no_chat_fails_when_the_server_closes_idle_connections, &[Auth], 180),
    check!(aborts::the_server_sees_a_dropped_chat_within_half_a_second, &[Auth, Think, Plain, R1], 90),
    check!(aborts::a_server_that_goes_silent_in_mid_stream_ends_in_a_time_out, &[Auth, Think, Plain, R1], 90),
    check!(aborts::a_server_that_is_told_to_end_in_mid_stream_never_looks_done, ALL_PROFILES, 120),
];
