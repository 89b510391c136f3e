//! Every attack of the plugin: what it tries, in which functions, and how it has to end there.

use super::ends::Ends::{self, Contract, Error, Limit, Steps, Trap, Well};

/// An attack, and how it ends, function by function.
pub(super) struct Attack {
    pub(super) name: &'static str,
    pub(super) tries: &'static str,
    pub(super) cases: &'static [(&'static [&'static str], Ends)],
}

/// The functions of the contract that are called with settings.
const EVERYWHERE: &[&str] = &[
    "check-settings",
    "list-models",
    "resolve-model",
    "count-tokens",
    "check-health",
    "start",
    "next",
];

/// The call that the component model has after a call, to free what came back.
const AFTER: &[&str] = &["post-return"];

const NEXT: &[&str] = &["next"];

const START: &[&str] = &["start"];

const NO_ROOM: Ends = Limit("handles");

const TOO_MUCH: Ends = Limit("data of one call");

const MAY_NOT_LEAVE: Ends = Trap("cannot leave component instance");

macro_rules! attacks {
    ($($name:literal: $tries:literal, $($at:expr => $ends:expr),+;)*) => {
        pub(super) const ATTACKS: &[Attack] = &[$(Attack {
            name: $name,
            tries: $tries,
            cases: &[$(($at, $ends)),+],
        }),*];
    };
}

attacks! {
    "endless-loop": "to compute without end",
        EVERYWHERE => Limit("processor time"), AFTER => Limit("processor time");
    "endless-host-calls": "the same through calls to the host, each of which lets the host in for a moment",
        EVERYWHERE => Limit("processor time"), AFTER => MAY_NOT_LEAVE;
    "costly-host-calls": "the same through calls that keep the host busy, so that it looks like waiting",
        NEXT => Limit("processor time");
    "bulk-instructions": "the same with instructions that write 32 MiB each, within which nothing can stop it",
        NEXT => Limit("processor time");
    "endless-yields": "to wait for no time at all, again and again",
        NEXT => Limit("time (");
    "endless-wait": "to wait a day for a clock, again and again",
        &["list-models", "next"] => Limit("time (");
    "longest-wait": "to wait for as long as a number can say",
        NEXT => Limit("time (");
    "recursion": "to use up the stack that the host gives its calls",
        EVERYWHERE => Limit("stack"), AFTER => Limit("stack");
    "recursion-in-memory": "to leave its own stack at the wrong end",
        EVERYWHERE => Trap("out of bounds memory access"), AFTER => Trap("out of bounds memory access");
    "trap": "to fail, also in mid-stream",
        EVERYWHERE => Trap("unreachable"), AFTER => Trap("unreachable");
    "poll-of-nothing": "to wait for nothing, which never comes",
        NEXT => Trap("empty poll list");
    "poll-of-many": "one pollable, a hundred thousand times in one poll",
        NEXT => Limit("handles of the component");
    "poll-of-millions": "the same eight million times",
        NEXT => TOO_MUCH;
    "clock-resolution": "to measure times that are short enough to tell what a processor does for others",
        NEXT => Steps(&["steps of a millisecond"]);
    "memory": "to grow until it is refused, and to fail then",
        EVERYWHERE => Limit("memory"), AFTER => Limit("memory");
    "memory-by-pages": "the same, a page of 64 KiB at a time",
        NEXT => Limit("memory");
    "memory-at-once": "4 GiB in one step",
        NEXT => Limit("memory");
    "memory-touched": "to write to each page up to the limit",
        NEXT => Limit("memory");
    "memory-of-others": "to find in fresh memory what another chat left there, 25 chats one after the other",
        NEXT => Steps(&["0 bytes of others", "marked"]);
    "pollables": "pollables without end in the host's table",
        NEXT => NO_ROOM;
    "fields": "header fields without end in the host's table",
        NEXT => NO_ROOM;
    "copies-of-fields": "the same with 100 KB in each",
        NEXT => NO_ROOM;
    "requests": "requests with their bodies, none of them sent",
        NEXT => NO_ROOM;
    "request-options": "options of requests",
        NEXT => NO_ROOM;
    "made-and-dropped": "handles made and dropped without end",
        NEXT => Limit("processor time");
    "handle-used-after-drop": "to use a handle that it gave back",
        NEXT => Trap("unknown handle index");
    "handle-dropped-twice": "to give a handle back twice",
        NEXT => Trap("unknown handle index");
    "handle-of-another-kind": "to pass header fields for a pollable",
        NEXT => Trap("handle index");
    "handle-made-up": "to pass a handle that was never given out",
        NEXT => Trap("unknown handle index");
    "children-after-parents": "to let go of the body of a request before the stream into it",
        NEXT => Trap("resource has children");
    "had-twice": "to have a body, an answer, a stream twice",
        NEXT => Steps(&["refused second"]);
    "pollable-after-its-subject": "to wait for a stream that is gone",
        NEXT => Trap("resource has children");
    "giant-path": "a path of 24 MiB",
        NEXT => TOO_MUCH;
    "giant-authority": "a host's name of 24 MiB",
        NEXT => TOO_MUCH;
    "giant-method": "a method of 24 MiB",
        NEXT => TOO_MUCH;
    "giant-scheme": "a scheme of 24 MiB",
        NEXT => TOO_MUCH;
    "giant-header-name": "a header's name of 24 MiB",
        NEXT => TOO_MUCH;
    "giant-header-value": "a header's value of 24 MiB",
        NEXT => TOO_MUCH;
    "smaller-giants": "path, host, method and header of 60 KB to 1 MiB, to see what is sent of it",
        NEXT => Steps(&["answered 200", "refused path", "refused authority", "denied"]);
    "giant-body": "a body of twice the limit",
        NEXT => Steps(&["failed write"]);
    "header-bytes": "16 MB of header fields, which the host keeps",
        NEXT => Limit("header fields");
    "header-count": "100,000 small header fields",
        NEXT => Limit("header fields");
    "header-repeated": "the same header field 100,000 times",
        NEXT => Limit("header fields");
    "aliased-headers": "a million fields of 1 MiB, all of them the same bytes of its memory",
        NEXT => TOO_MUCH;
    "aliased-values": "the same as values of one field",
        NEXT => TOO_MUCH;
    "list-out-of-memory": "to pass a list that begins where it has no memory",
        NEXT => Trap("out of bounds");
    "list-without-end": "to pass a list of 2³² fields",
        NEXT => Trap("out of bounds");
    "result-out-of-memory": "to have an answer written where it has no memory",
        NEXT => Trap("out of bounds");
    "result-at-an-odd-address": "to have an answer written across a boundary",
        NEXT => Trap("not aligned");
    "text-out-of-memory": "to pass a text where it has no memory",
        NEXT => Trap("out of bounds");
    "text-that-is-none": "to pass bytes for a text that are no UTF-8",
        NEXT => Trap("utf-8");
    "argument-of-no-case": "to pass neither some nor none",
        NEXT => Trap("invalid");
    "unfinished-requests": "64 requests at once, none of them whole",
        NEXT => Steps(&["4 waiting, 60 denied, 0 answered"]);
    "body-that-nobody-reads": "to wait for room in the body of a request that is never sent",
        NEXT => Limit("time (");
    "endless-request": "to send without end",
        NEXT => Steps(&["denied"]);
    "dropped-request": "to let go of a request in the middle of its body",
        NEXT => Steps(&["denied"]);
    "forgotten-requests": "200 requests whose answers nobody waits for",
        NEXT => Steps(&["forgotten"]);
    "kept-answers": "to keep a hundred answers unread",
        NEXT => Steps(&["4 kept, then denied"]);
    "held-answers": "to keep every answer unread, and to ask for more without end",
        NEXT => Limit("time (");
    "endless-answer": "to read an answer that has no end",
        NEXT => Steps(&["failed read"]);
    "left-answers": "fifty answers that have no end, each left in the middle",
        NEXT => Steps(&["left 50"]);
    "no-time": "times of nothing in a request's own options",
        NEXT => Steps(&["denied"]);
    "all-the-time": "times without end in a request's own options, for a server that is silent",
        NEXT => Steps(&["denied"]);
    "silence-again-and-again": "to ask a server that is silent, again and again",
        NEXT => Limit("time (");
    "other-origins": "another port, other names, `https`, `ftp`, `file`, no origin at all",
        NEXT => Steps(&["denied"]);
    "metadata-services": "the metadata addresses of clouds, in several spellings, and private networks",
        NEXT => Steps(&["denied", "refused authority"]);
    "addresses-by-other-names": "loopback in decimal, octal, hex, short, IPv4-mapped, IPv4-compatible, 6to4, NAT64, with a zone, in full-width digits, as a public name",
        NEXT => Steps(&["denied", "refused authority"]);
    "odd-authorities": "user info, fragments, backslashes, CR and LF, NUL, ports with signs, zeros and 65,536 added",
        NEXT => Steps(&["denied", "refused authority"]);
    "odd-paths": "absolute form, `//host/`, backslash, CR and LF, NUL, `*`",
        NEXT => Steps(&["denied", "refused path"]);
    "dots-in-paths": "`..` out of the base path, as it is, encoded once and twice, in overlong UTF-8, in full-width dots, before an encoded `?`, `#` or space, with a parameter and in a query",
        NEXT => Steps(&["denied", "refused path"]);
    "body-of-a-get": "a body of a `GET`, a request in it, and a length that announces one",
        NEXT => Steps(&["denied", "failed body"]);
    "odd-methods": "every method but GET and POST, and one with a request in it",
        NEXT => Steps(&["denied", "refused method"]);
    "redirects": "to be sent on to the other server by the granted one",
        NEXT => Steps(&["answered 30"]);
    "line-breaks-in-headers": "CR, LF, NUL, colons and spaces in names and values",
        NEXT => Steps(&["refused header"]);
    "headers-of-the-host": "`host`, `connection`, `upgrade`, `transfer-encoding` and a proxy's keys, in every spelling",
        NEXT => Steps(&["refused header"]);
    "headers-as-a-list": "the same, all at once",
        NEXT => Steps(&["refused header"]);
    "framing-headers": "`content-length` that lies or stands twice, `expect`, `te`, `trailer`, `accept-encoding`; what is sent goes without them",
        NEXT => Steps(&["failed body", "refused header", "answered 200"]);
    "headers-of-proxies": "`forwarded`, `x-forwarded-for`, `via`: to be taken for somebody else",
        NEXT => Steps(&["denied"]);
    "headers-of-gateways": "another path, method, host, file or user by `X-Original-URL`, `X-HTTP-Method-Override`, `X-Accel-Redirect`, `Impersonate-User`, `Cookie`, names with `_` and others",
        NEXT => Steps(&["denied"]);
    "headers-twice": "the same header with two values; both go to the granted server",
        NEXT => Steps(&["answered 200"]);
    "trailers": "headers behind the body",
        NEXT => Steps(&["denied"]);
    "key-outside-header-values": "the key in path, query, body and a header's name, where a server may say it back",
        NEXT => Steps(&["denied"]);
    "key-to-another-origin": "the key in a header, to the other server",
        NEXT => Steps(&["denied"]);
    "key-in-disguise": "the key in two halves, in capitals, backwards, in base64, percent-encoded; the placeholder is all that gets there",
        NEXT => Steps(&["answered 200"]);
    "key-in-other-parts": "the key as a user's name, a host's name, a method, a scheme",
        NEXT => Steps(&["denied", "refused"]);
    "key-over-another-scheme": "the key in a header, to the same host over `https`",
        NEXT => Steps(&["denied"]);
    "key-with-a-redirect": "to be sent on with the key to the other server",
        NEXT => Steps(&["answered 307"]);
    "endless-text": "text without end",
        NEXT => Limit("events");
    "endless-thinking": "thinking without end",
        NEXT => Limit("events");
    "endless-notes": "notes by the million",
        NEXT => Limit("events");
    "endless-extensions": "events that this version has no name for, without end",
        NEXT => Limit("events");
    "endless-arguments": "a tool call whose arguments have no end",
        NEXT => Limit("events");
    "trickle": "a word now and then, for as long as anybody listens",
        NEXT => Limit("time (");
    "computing-trickle": "the same, computing between two words for less than one call may",
        NEXT => Limit("time (");
    "credit-by-single-bytes": "to read single bytes from a server that helps, and to compute 200 ms on the credit for them, again and again",
        NEXT => Limit("time (");
    "credit-by-bulk": "the same with bulk",
        NEXT => Limit("time (");
    "credit-spent-at-once": "the same with each read's credit spent at once",
        NEXT => Limit("time (");
    "credit-under-the-slow-clock": "to compute 64 ms at once, when the host's clock is slow again",
        NEXT => Limit("time (");
    "credit-after-a-pause": "to compute a millisecond after each pause, all chats at the same time",
        NEXT => Limit("time (");
    "requests-at-once": "four requests at once, again and again",
        NEXT => Limit("time (");
    "giant-event": "a text of 24 MiB",
        NEXT => TOO_MUCH;
    "more-events-than-asked": "a thousand events where fewer were asked for; the host hands them out as they are asked for",
        NEXT => Steps(&["one more"]);
    "million-events": "a million events at once",
        NEXT => TOO_MUCH;
    "million-calls": "5,000 tool calls that are begun and not ended",
        NEXT => Contract("more than 4096 tool calls open at once");
    "trap-in-the-middle": "to fail after three pieces of text; those are given out",
        NEXT => Trap("unreachable");
    "text-before-start": "text before the start",
        NEXT => Contract("`text` came before `start`");
    "second-start": "a second start",
        NEXT => Contract("a second `start`");
    "text-after-finish": "text after the finish",
        NEXT => Contract("`text` came after `finish`");
    "second-finish": "a second finish",
        NEXT => Contract("`finish` came after `finish`");
    "no-finish": "an end without a finish",
        NEXT => Contract("the answer ended without `finish`");
    "empty-texts": "texts without a byte, without end",
        NEXT => Contract("a `text` without a byte");
    "end-of-no-call": "the end of a tool call that was never begun",
        NEXT => Contract("which is not open");
    "lying-usage": "2⁶⁴ − 1 tokens of everything, costs that are no numbers; told as they are, and nobody stumbles",
        NEXT => Well;
    "lying-models": "contexts of nothing and of 2³² − 1 tokens, prices that are no numbers; chats with each of them",
        &["route"] => Well;
    "lying-count": "a prompt of 2³² − 1 tokens in a context of none",
        &["route"] => Well;
    "error-of-numbers": "an error that asks to wait for 2⁶⁴ − 1 ms, with limits as large",
        &["route"] => Error("invalid-request");
    "giant-error": "an error text of 1 MiB with terminal control and the key; 8 KiB of it are kept, without the key",
        &["check-settings", "list-models", "check-health", "next"] => Error("*** "),
        &["route"] => Error("*** ");
    "escape-sequences": "terminal control in every text that an answer, a model or a note has",
        &["check-settings", "list-models", "check-health", "next"] => Well;
    "many-models": "20,000 models with names of 600 bytes",
        &["list-models"] => TOO_MUCH;
    "many-notes": "16,000 notes of 1,200 bytes",
        &["check-settings", "list-models", "check-health"] => TOO_MUCH;
    "returned-address-outside": "to return an answer that lies where it has no memory",
        NEXT => Trap("out of bounds");
    "returned-odd-address": "to return an answer across a boundary",
        NEXT => Trap("not aligned");
    "returned-list-outside": "to return a list of events where it has no memory",
        NEXT => Trap("out of bounds");
    "returned-list-without-end": "to return 2³² − 1 events",
        NEXT => Trap("out of bounds");
    "returned-list-at-an-odd-address": "to return events across a boundary",
        NEXT => Trap("not aligned");
    "returned-no-result": "to return neither events nor an error",
        NEXT => Trap("invalid");
    "returned-no-event": "to return an event of no known kind",
        NEXT => Trap("unexpected discriminant");
    "returned-no-reason": "to return a finish of no known kind",
        NEXT => Trap("unexpected discriminant");
    "returned-no-option": "to return a path that is neither there nor not",
        NEXT => Trap("invalid");
    "returned-text-outside": "to return a text where it has no memory",
        NEXT => Trap("out of bounds");
    "returned-text-without-end": "to return a text of 4 GiB",
        NEXT => Trap("out of bounds");
    "returned-text-that-is-none": "to return bytes that are no UTF-8",
        NEXT => Trap("utf-8");
    "returned-aliased-texts": "to return 100,000 texts of 8 MiB, all of them the same bytes of its memory",
        NEXT => TOO_MUCH;
    "returned-made-up-handle": "to return a stream that was never made",
        START => Trap("unknown handle index");
    "returned-no-handle": "to return no stream",
        START => Trap("unknown handle index");
    "returned-handle-of-another-kind": "to return a pollable for a stream",
        START => Trap("handle index");
    "uncalled": "a destructor, a pollable of the stream that never return: the host has no need to call them",
        &["drop", "subscribe"] => Well;
    "allocator-loop": "to compute without end where the host asks for room for what it passes",
        &["allocator"] => Limit("processor time");
    "allocator-trap": "to fail there",
        &["allocator"] => Trap("unreachable");
    "allocator-outside": "to have it written where there is no memory",
        &["allocator"] => Trap("beyond end of memory");
    "allocator-last-byte": "to have it written at the last address that a number can say",
        &["allocator"] => Trap("beyond end of memory");
    "allocator-memory": "to grow there until it is refused",
        &["allocator"] => Limit("memory");
    "allocator-host-call": "to call the host from there",
        &["allocator"] => MAY_NOT_LEAVE;
}
