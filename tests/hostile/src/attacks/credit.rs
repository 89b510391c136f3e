//! To read much from a server that helps, and to compute on the credit for it.

use std::cell::RefCell;
use std::hint::black_box;

use wasip2::clocks::monotonic_clock::{now, subscribe_instant};
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{Fields, IncomingBody, IncomingResponse, OutgoingRequest, Scheme};
use wasip2::io::streams::InputStream;

use crate::Orders;
use crate::bindings::llm::provider::types::{Error, Event};
use crate::error;
use crate::http::Ask;
use crate::provider::greeting;

/// The stream goes before its body, and that before its response.
type Open = (InputStream, IncomingBody, IncomingResponse);

thread_local! {
    static OPEN: RefCell<Option<Open>> = const { RefCell::new(None) };
}

/// How much is computed for how many reads.
struct Plan {
    path: &'static str,
    reads: u32,
    milliseconds: u64,
    turns: u64,
}

/// Reads of single bytes, a hundred times, and then 200 ms of computing.
pub(super) fn by_single_bytes(orders: &Orders, call: u32) -> Result<Vec<Event>, Error> {
    let plan = Plan {
        path: "/drops",
        reads: 100,
        milliseconds: 200,
        turns: 0,
    };
    buy(orders, call, &plan)
}

/// Reads as large as they come, a hundred times, and then 200 ms of computing.
pub(super) fn by_bulk(orders: &Orders, call: u32) -> Result<Vec<Event>, Error> {
    let plan = Plan {
        path: "/endless",
        reads: 100,
        milliseconds: 200,
        turns: 0,
    };
    buy(orders, call, &plan)
}

/// For each read what it pays for, so that there is never an overdraft, nor a long poll.
pub(super) fn spent_at_once(orders: &Orders, call: u32) -> Result<Vec<Event>, Error> {
    let plan = Plan {
        path: "/drops",
        reads: 1,
        milliseconds: 0,
        turns: 200_000,
    };
    buy(orders, call, &plan)
}

/// All chats at the same time, four times a second: one read, and then 64 ms of computing, which
/// begins while the host's clock is slow again.
pub(super) fn under_the_slow_clock(orders: &Orders, call: u32) -> Result<Vec<Event>, Error> {
    at_once(orders, call, 250, 64)
}

/// All chats at the same time, after a pause in which recent use is forgotten: less than the clock
/// notices each time.
pub(super) fn after_a_pause(orders: &Orders, call: u32) -> Result<Vec<Event>, Error> {
    at_once(orders, call, 150, 1)
}

/// Waits for the next multiple of `every`, reads once and computes. All in milliseconds.
fn at_once(orders: &Orders, call: u32, every: u64, compute: u64) -> Result<Vec<Event>, Error> {
    if call == 0 {
        return Ok(greeting().into());
    }
    let every = every * 1_000_000;
    subscribe_instant((now() / every + 1) * every).block();
    read(orders, "/beats").map_err(error)?;
    compute_for(compute);
    Ok(vec![Event::Text("paid ".into())])
}

/// As many requests at once as there may be, again and again: the host sends each in a task of its
/// own, which computes as well.
pub(super) fn by_requests(orders: &Orders, call: u32) -> Result<Vec<Event>, Error> {
    if call == 0 {
        return Ok(greeting().into());
    }
    let begin = |_| {
        let request = OutgoingRequest::new(Fields::new());
        let _ = request.set_scheme(Some(&Scheme::Http));
        let _ = request.set_authority(Some(&orders.granted));
        handle(request, None).ok()
    };
    for _ in 0..1_000 {
        let answers: Vec<_> = (0..4).filter_map(begin).collect();
        for answer in &answers {
            answer.subscribe().block();
        }
    }
    Ok(vec![Event::Text("asked ".into())])
}

fn buy(orders: &Orders, call: u32, plan: &Plan) -> Result<Vec<Event>, Error> {
    if call == 0 {
        return Ok(greeting().into());
    }
    for _ in 0..plan.reads {
        read(orders, plan.path).map_err(error)?;
    }
    for turn in 0..plan.turns {
        black_box(turn);
    }
    compute_for(plan.milliseconds);
    Ok(vec![Event::Text("paid ".into())])
}

fn compute_for(milliseconds: u64) {
    let enough = now() + milliseconds * 1_000_000;
    while now() < enough {
        (0..10_000_u64).for_each(|turn| _ = black_box(turn));
    }
}

fn read(orders: &Orders, path: &str) -> Result<(), String> {
    OPEN.with_borrow_mut(|open| {
        let (stream, ..) = match open {
            Some(open) => open,
            None => open.insert(opened(orders, path)?),
        };
        if stream.blocking_read(64 << 10).is_err() {
            *open = None;
        }
        Ok(())
    })
}

fn opened(orders: &Orders, path: &str) -> Result<Open, String> {
    let response = Ask::path(&orders.granted, path).answer()?;
    let body = response.consume().map_err(|()| "no body".to_owned())?;
    let stream = body.stream().map_err(|()| "no stream".to_owned())?;
    Ok((stream, body, response))
}
