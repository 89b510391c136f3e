//! The bytes of one answer in, its events out.
//!
//! `head` → `feed`* → `finish` or `fail`. The decoder decides by status,
//! content type and first byte what the body is: a stream of events, a whole
//! JSON answer, an error's body, or something that is no answer. Events do not
//! depend on where the bytes were cut. Nothing grows without a limit: a line
//! and an event ([`sse::MAX_EVENT_BYTES`]), a whole answer
//! ([`MAX_WHOLE_BYTES`]), what brings no event ([`MAX_BARREN_BYTES`]), an error's body ([`MAX_ERROR_BYTES`]), tool calls
//! ([`calls::MAX_CALLS`], [`calls::MAX_CALL_BYTES`]). Text and thinking are not
//! held at all.

#![allow(
    clippy::result_large_err,
    reason = "the contract's error crosses as it is, once in an exchange"
)]

use alloc::string::String;
use alloc::vec::Vec;
use core::cell::OnceCell;

use crate::error::{self, Context, quote};
use crate::json::Malformed;
use crate::raw_json;
use crate::sse;
use crate::text;
use crate::types::{Cost, Error, ErrorKind, Event, Note, TransportFailure, TransportFailureKind};

mod answer;
pub mod calls;
mod chunk;
mod sniff;
mod surrogates;
mod template;
#[cfg(test)]
mod tests;
mod think;

use answer::{Answer, End};
use chunk::Chunk;
use sniff::{Content, Sniffer};
use template::Template;

/// Longest whole (not streamed) answer, in bytes.
pub const MAX_WHOLE_BYTES: usize = 16 << 20;

/// Most bytes of an error's body, or of a body that is no answer, that are
/// looked at; the rest is passed over.
pub const MAX_ERROR_BYTES: usize = 64 << 10;

/// Most bytes of a stream that bring no event: comments, fields that mean
/// nothing, pieces with nothing in them. A call that a server's parser holds back
/// for 100,000 tokens is less.
pub const MAX_BARREN_BYTES: usize = 32 << 20;

/// What the decoder must know beside the bytes.
#[derive(Debug, Clone)]
pub struct Options {
    /// The exchange, for messages.
    pub context: Context,
    /// The model's prices; `None`: not known, and nothing is priced.
    pub cost: Option<Cost>,
    /// The model is declared or known as reasoning: `<think>` at the start of
    /// the content is split off.
    pub reasoning: bool,
    /// The request asks for more than one choice (`n`): the first one is the answer, by its index.
    /// Otherwise a lone choice is the answer whatever its index, since some servers count it up.
    pub many_choices: bool,
    /// What the user should be told of the request; given out behind the start of the answer.
    pub notes: Vec<Note>,
}

/// Decodes one answer.
pub struct Decoder {
    context: Context,
    answer: Answer,
    /// 0: the head has not come.
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Body,
    /// What the last pieces of a stream looked like.
    template: Template,
    /// Bytes since the last event.
    barren: usize,
}

/// What the body is, and what of it is held.
enum Body {
    /// Not known before its first bytes.
    Unknown(Sniffer),
    Stream(sse::Parser),
    /// A whole JSON answer.
    Whole(Vec<u8>),
    /// Neither, with status 200.
    Foreign(Vec<u8>),
    /// The body of an error.
    Refusal(Vec<u8>),
    /// The finish was given, or an error.
    Over,
}

impl Decoder {
    /// A decoder of an answer whose head is still to come.
    pub fn new(options: Options) -> Self {
        Self {
            context: options.context,
            answer: Answer::new(
                options.cost,
                options.reasoning,
                options.many_choices,
                options.notes,
            ),
            status: 0,
            headers: Vec::new(),
            body: Body::Unknown(Sniffer::new(None)),
            template: Template::default(),
            barren: 0,
        }
    }

    /// Takes the head of the answer; before any byte of the body.
    pub fn head(&mut self, status: u16, headers: &[(String, Vec<u8>)]) {
        self.status = status;
        self.body = match status {
            200..300 => {
                let content_type = headers
                    .iter()
                    .find(|(name, _)| name.eq_ignore_ascii_case("content-type"))
                    .map(|(_, value)| &value[..]);
                Body::Unknown(Sniffer::new(content_type))
            }
            _ => {
                self.headers = headers.to_vec();
                Body::Refusal(Vec::new())
            }
        };
    }

    /// Takes the next bytes of the body and appends the events that are ready.
    ///
    /// # Errors
    /// An error event of the server, or a broken protocol. Events before it are
    /// in `out`; the answer has ended.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<Event>) -> Result<(), Error> {
        let before = out.len();
        let mut outcome = self.take(bytes, out);
        self.barren = match out.len() == before {
            true => self.barren + bytes.len(),
            false => 0,
        };
        if self.barren > MAX_BARREN_BYTES && matches!(self.body, Body::Stream(_)) {
            let what = "the server sent more than 32 MiB without a piece of its answer";
            outcome = outcome.and(Err(protocol(&self.context, self.status, what)));
        }
        if outcome.is_err() {
            self.break_off(out);
            self.body = Body::Over;
        }
        outcome
    }

    /// The body ended cleanly: gives the rest of the events.
    ///
    /// # Errors
    /// The typed error of a status that is no success; an answer that is not
    /// complete; a body that is no answer.
    pub fn finish(&mut self, out: &mut Vec<Event>) -> Result<(), Error> {
        let outcome = self.close(out);
        if outcome.is_err() {
            self.break_off(out);
        }
        self.body = Body::Over;
        outcome
    }

    /// The exchange ended early. Gives what was held back, and the error.
    pub fn fail(&mut self, failure: &TransportFailure, out: &mut Vec<Event>) -> Error {
        let mut said = None;
        let body = match core::mem::replace(&mut self.body, Body::Over) {
            Body::Stream(parser) => {
                said = self.rest(parser, false, out).err();
                Body::Over
            }
            body => body,
        };
        let given = self.answer.started;
        let error = match body {
            _ if self.status == 0 => error::from_transport(&self.context, failure),
            _ if let Some(said) = said => said,
            // The status said enough, however much of its body came.
            Body::Refusal(body) => {
                error::from_response(&self.context, self.status, &self.headers, &body)
            }
            Body::Foreign(body) if !body.is_empty() => self.foreign(&body),
            _ => self.interrupted(Some(failure), given),
        };
        self.break_off(out);
        error
    }

    /// The finish was given, or an error: there is no need to read on.
    pub fn is_done(&self) -> bool {
        matches!(self.body, Body::Over)
    }

    /// Of an error, or of what is no answer, all is here that is looked at: there
    /// is no need to read on either, and [`Decoder::finish`] tells it.
    pub fn has_enough(&self) -> bool {
        matches!(&self.body, Body::Foreign(body) | Body::Refusal(body) if body.len() >= MAX_ERROR_BYTES)
    }

    /// Counts what the chunks counted that were only recognized.
    fn settle(&mut self) {
        self.answer.count(self.template.recount());
    }

    /// The bad end of the answer.
    fn break_off(&mut self, out: &mut Vec<Event>) {
        self.settle();
        self.answer.break_off(out);
    }

    fn take(&mut self, bytes: &[u8], out: &mut Vec<Event>) -> Result<(), Error> {
        if self.status == 0 {
            // A body without a head: the caller says that it is an answer.
            self.status = 200;
        }
        if let Body::Unknown(sniffer) = &mut self.body {
            let Some((content, held)) = sniffer.push(bytes) else {
                return Ok(());
            };
            self.become_content(content);
            return self.take_known(&held, out);
        }
        self.take_known(bytes, out)
    }

    fn become_content(&mut self, content: Content) {
        self.body = match content {
            Content::Stream => Body::Stream(sse::Parser::lenient()),
            Content::Json => Body::Whole(Vec::new()),
            Content::Foreign => Body::Foreign(Vec::new()),
        };
    }

    fn take_known(&mut self, bytes: &[u8], out: &mut Vec<Event>) -> Result<(), Error> {
        match &mut self.body {
            Body::Stream(parser) => {
                let too_much = |limit| too_much(&self.context, self.status, limit);
                let mut input = bytes;
                loop {
                    let whole = parser.is_between_events();
                    // What the template recognizes has the index 0, or none.
                    let is_known = whole && self.answer.takes_index_0();
                    while is_known && let Some((text, rest)) = self.template.read(input) {
                        input = rest;
                        let place = self.template.place();
                        self.answer.piece(place, text, out).map_err(too_much)?;
                    }
                    let before = input;
                    let (data, found) = match parser.next_event(&mut input) {
                        Ok(Some(event)) => event,
                        Ok(None) => return Ok(()),
                        Err(sse::TooLong) => {
                            return Err(protocol(
                                &self.context,
                                self.status,
                                "the server sent an event of more than 8 MiB",
                            ));
                        }
                    };
                    let source = whole.then(|| behind(before, input));
                    let mut event = Data {
                        context: &self.context,
                        status: self.status,
                        answer: &mut self.answer,
                        template: &mut self.template,
                    };
                    if event.take(data, found, source, out)? {
                        self.body = Body::Over;
                        return Ok(());
                    }
                }
            }
            Body::Whole(body) => {
                if body.len() + bytes.len() > MAX_WHOLE_BYTES {
                    return Err(protocol(
                        &self.context,
                        self.status,
                        "the server sent a whole answer of more than 16 MiB",
                    ));
                }
                body.extend_from_slice(bytes);
            }
            Body::Foreign(body) | Body::Refusal(body) => {
                let room = MAX_ERROR_BYTES - body.len().min(MAX_ERROR_BYTES);
                body.extend(bytes.iter().take(room));
            }
            Body::Unknown(_) | Body::Over => {}
        }
        Ok(())
    }

    fn close(&mut self, out: &mut Vec<Event>) -> Result<(), Error> {
        if let Body::Unknown(sniffer) = &mut self.body {
            let (content, held) = sniffer.end();
            self.become_content(content);
            self.take_known(&held, out)?;
        }
        match core::mem::replace(&mut self.body, Body::Over) {
            Body::Stream(parser) => match self.rest(parser, true, out)? {
                true => Ok(()),
                false => self.done(End::Body, out),
            },
            Body::Whole(body) => self.whole(&body, out),
            Body::Foreign(body) if body.trim_ascii().is_empty() => {
                Err(self.interrupted(None, self.answer.started))
            }
            Body::Foreign(body) => Err(self.foreign(&body)),
            Body::Refusal(body) => Err(error::from_response(
                &self.context,
                self.status,
                &self.headers,
                &body,
            )),
            Body::Unknown(_) | Body::Over => Ok(()),
        }
    }

    /// Takes what the end of the body left without the empty line that ends an event; true when it
    /// is the good end. WHATWG drops it. A server, or a proxy that trims the end, may forget that
    /// line, so what is whole is worth taking. `ended`: the body did not break off.
    fn rest(
        &mut self,
        mut parser: sse::Parser,
        ended: bool,
        out: &mut Vec<Event>,
    ) -> Result<bool, Error> {
        let mut end: &[u8] = b"\n\n";
        while let Ok(Some((data, found))) = parser.next_event(&mut end) {
            let is_whole = match found {
                sse::Found::Data => {
                    let data = data.trim_ascii();
                    let is_last = || raw_json::is_object(data) || has_whole_lines(data);
                    ended && data == sse::DONE || is_last()
                }
                sse::Found::Error => ended || raw_json::is_object(data.trim_ascii()),
                // The beginning of a field, more likely.
                sse::Found::Stray => ended && !b"data:".starts_with(data),
            };
            if !is_whole {
                continue;
            }
            if self.event().take(data, found, None, out)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Where the data of one event go.
    fn event(&mut self) -> Data<'_> {
        Data {
            context: &self.context,
            status: self.status,
            answer: &mut self.answer,
            template: &mut self.template,
        }
    }

    fn done(&mut self, end: End, out: &mut Vec<Event>) -> Result<(), Error> {
        self.settle();
        match ends_well(&self.context, self.status, &mut self.answer, end, out)? {
            true => Ok(()),
            false => Err(self.interrupted(None, self.answer.started)),
        }
    }

    /// A whole answer to a streaming request; proxies do that.
    fn whole(&mut self, body: &[u8], out: &mut Vec<Event>) -> Result<(), Error> {
        let (text, marked) = (text::lossy(body), OnceCell::new());
        let json = text.strip_prefix('\u{FEFF}').unwrap_or(&text);
        let chunk = match parse(json, &marked) {
            Ok(chunk) => chunk,
            Err(why) => {
                // The error of a stream, without the field around it.
                let line = json.lines().next().unwrap_or_default();
                return Err(match chunk::parse(line) {
                    Ok(chunk) if chunk.is_error => {
                        error::from_event(&self.context, self.status, line.as_bytes())
                    }
                    _ => unread(&self.context, self.status, &why, body),
                });
            }
        };
        if chunk.is_error {
            return Err(error::from_event(&self.context, self.status, body));
        }
        if chunk.choices.is_empty() {
            let what = "the server sent JSON that is no answer: ";
            return Err(quoting(&self.context, self.status, what, body));
        }
        let too_much = |limit| too_much(&self.context, self.status, limit);
        self.answer.chunk(chunk, true, out).map_err(too_much)?;
        self.done(End::Whole, out)
    }

    /// A body that is no answer, with a status that says it is one.
    fn foreign(&self, body: &[u8]) -> Error {
        error::web_page(&self.context, self.status, body).unwrap_or_else(|| {
            let what = "the server sent something else than an answer: ";
            quoting(&self.context, self.status, what, body)
        })
    }

    /// The answer is not complete. `failure`: as the transport tells it; none
    /// when the body ended as if it were.
    fn interrupted(&self, failure: Option<&TransportFailure>, given: bool) -> Error {
        use TransportFailureKind as Failure;
        let kind = match failure.map(|failure| failure.kind) {
            Some(Failure::ReadTimeout | Failure::ConnectTimeout) => ErrorKind::Timeout,
            // It would send the same again.
            Some(Failure::Protocol) => ErrorKind::Protocol,
            _ => ErrorKind::Interrupted,
        };
        if failure.is_none()
            && let Some(error) = error_in(&self.context, self.status, self.answer.stray())
        {
            return error;
        }
        let what = match (&kind, failure, given) {
            (ErrorKind::Timeout, ..) => "the server went silent in the middle of its answer",
            (_, Some(_), _) if self.answer.reason.is_some() => {
                "the connection ended after the finish reason, but before the end of the answer"
            }
            (_, Some(_), true) => "the connection ended in the middle of the answer",
            (_, Some(_), false) => "the connection ended before the first piece of the answer",
            (_, None, true) => {
                "the stream ended without a finish reason: the answer is not complete"
            }
            (_, None, false) => "the server ended its answer without sending any of it",
        };
        let words = failure.map(|failure| quote::quote(&failure.message, quote::MAX_WORDS));
        let words = words.or_else(|| Some(stray_words(self.answer.stray())));
        let settled = failure
            .is_some_and(|failure| matches!(failure.kind, Failure::Denied | Failure::Protocol));
        Error {
            status: (self.status != 0).then_some(self.status),
            retryable: !given && !settled,
            request_sent: true,
            ..Error::new(
                kind,
                error::say(&self.context, what, &words.unwrap_or_default(), ""),
            )
        }
    }
}

/// Whether data of several lines are events without empty lines between them, and not one that was
/// cut.
fn has_whole_lines(data: &[u8]) -> bool {
    let mut lines = data.split(|byte| *byte == b'\n').skip(1);
    lines.any(|line| raw_json::is_object(line.trim_ascii()))
}

/// Whether a line has the form of a field, as events may have more of than this reads.
fn is_field(line: &[u8]) -> bool {
    let colon = memchr::memchr(b':', line).unwrap_or(line.len());
    let name = line.get(..colon).unwrap_or_default();
    let in_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !name.is_empty() && name.iter().all(in_name)
}

/// What a stream said beside its answer, in one line: a web page by its title.
fn stray_words(stray: &[u8]) -> String {
    let title = quote::html_title(&text::lossy(stray));
    title.unwrap_or_else(|| quote::quote_bytes(stray, quote::MAX_SNIPPET))
}

/// The error that a stream told in lines of its own, if they are a JSON object together.
fn error_in(context: &Context, status: u16, stray: &[u8]) -> Option<Error> {
    raw_json::is_object(stray).then(|| error::from_event(context, status, stray))
}

/// What was taken off the front of `before`, so that `input` is left.
fn behind<'i>(before: &'i [u8], input: &[u8]) -> &'i [u8] {
    let taken = before.len() - input.len().min(before.len());
    before.get(..taken).unwrap_or_default()
}

/// Where the data of one event go.
struct Data<'d> {
    context: &'d Context,
    status: u16,
    answer: &'d mut Answer,
    template: &'d mut Template,
}

impl Data<'_> {
    /// Takes what the parser found; true when it is the good end. `source`: all bytes of the event,
    /// if they came whole.
    fn take(
        &mut self,
        data: &[u8],
        found: sse::Found,
        source: Option<&[u8]>,
        out: &mut Vec<Event>,
    ) -> Result<bool, Error> {
        let (context, status) = (self.context, self.status);
        self.answer.count(self.template.recount());
        match found {
            sse::Found::Data => {}
            sse::Found::Error => return Err(error::from_event(context, status, data)),
            sse::Found::Stray => {
                self.answer.has_lines |= !data.split(|byte| *byte == b'\n').all(is_field);
                self.answer.keep_stray(data);
                return Ok(false);
            }
        }
        let data = data.trim_ascii();
        if data.is_empty() {
            // Some servers keep the connection alive with empty events.
            return Ok(false);
        }
        if data == sse::DONE {
            if ends_well(context, status, self.answer, End::Done, out)? {
                return Ok(true);
            }
            let stray = self.answer.stray();
            if let Some(error) = error_in(context, status, stray) {
                return Err(error);
            }
            let what =
                "the server ended the stream without a finish reason: the answer is not complete";
            let words = stray_words(stray);
            return Err(Error {
                status: Some(status),
                retryable: !self.answer.started,
                request_sent: true,
                ..Error::new(
                    ErrorKind::Interrupted,
                    error::say(context, what, &words, ""),
                )
            });
        }
        if data.first() != Some(&b'{') {
            // Servers keep connections alive with such data, too. If the answer fails, they may say
            // why.
            self.answer.keep_stray(data);
            return Ok(false);
        }
        let (text, marked) = (text::lossy(data), OnceCell::new());
        let chunk = parse(&text, &marked).map_err(|why| unread(context, status, &why, data))?;
        if chunk.is_error {
            return Err(error::from_event(context, status, data));
        }
        if chunk.choices.is_empty() && chunk.usage.is_none() {
            // It is no piece of the answer. Perhaps it says why there is none.
            self.answer.keep_stray(data);
        }
        if let Some(source) = source {
            self.template.learn(source, &chunk);
        }
        self.answer
            .chunk(chunk, false, out)
            .map_err(|limit| too_much(context, status, limit))?;
        Ok(false)
    }
}

/// Ends the answer, if this is its good end. False: it is not complete.
///
/// # Errors
/// The server says by its finish reason that it gave the answer up. What caused it may be gone when
/// the request comes again; what was given is the host's to judge.
fn ends_well(
    context: &Context,
    status: u16,
    answer: &mut Answer,
    end: End,
    out: &mut Vec<Event>,
) -> Result<bool, Error> {
    let Some(word) = answer.broken_off() else {
        let ends = answer.may_end(end);
        if ends {
            answer.end(end, out);
        }
        return Ok(ends);
    };
    let what = text::concat(&[
        "the server ended the answer before it was complete: its finish reason is \"",
        word,
        "\"",
    ]);
    let kind = match word.eq_ignore_ascii_case("error") {
        true => ErrorKind::Server,
        false => ErrorKind::Interrupted,
    };
    Err(Error {
        status: Some(status),
        request_sent: true,
        retryable: kind == ErrorKind::Server || !answer.started,
        ..Error::new(kind, error::say(context, &what, "", ""))
    })
}

fn protocol(context: &Context, status: u16, what: &str) -> Error {
    error::protocol(context, status, what)
}

fn quoting(context: &Context, status: u16, what: &str, bytes: &[u8]) -> Error {
    let quoted = quote::quote_bytes(bytes, quote::MAX_SNIPPET);
    let ask = "\"; check the base URL, and any proxy before the server";
    protocol(context, status, &text::concat(&[what, "\"", &quoted, ask]))
}

/// Parses a piece, or a whole answer. If it holds lone halves of surrogate pairs, `marked` keeps its
/// text in which they are marked.
fn parse<'t>(text: &'t str, marked: &'t OnceCell<String>) -> Result<Chunk<'t>, Malformed> {
    let why = match chunk::parse(text) {
        Err(why) if why.what() != chunk::CROWDED => why,
        outcome => return outcome,
    };
    let Some(found) = surrogates::mark(text) else {
        return Err(why);
    };
    let mut chunk = chunk::parse(marked.get_or_init(|| found))?;
    chunk.is_marked = true;
    Ok(chunk)
}

/// The error of a piece that does not parse.
fn unread(context: &Context, status: u16, why: &Malformed, bytes: &[u8]) -> Error {
    if why.what() == chunk::CROWDED {
        return too_much(context, status, calls::TooMuch(chunk::CROWDED));
    }
    let what = match memchr::memchr(b'\n', bytes) {
        None => "the server sent a piece that is not a JSON object: ",
        Some(_) => {
            "the server sent lines without an empty line between them that are no JSON object, \
             neither together nor each by itself: "
        }
    };
    quoting(context, status, what, bytes)
}

fn too_much(context: &Context, status: u16, limit: calls::TooMuch) -> Error {
    protocol(
        context,
        status,
        &text::concat(&["the server sent ", limit.0]),
    )
}
