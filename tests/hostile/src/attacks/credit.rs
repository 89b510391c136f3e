//! To read much from a server that helps, and to compute on the credit for it.

use std::cell::RefCell;
use std::hint::black_box;

use wasip2::clocks::monotonic_clock::now;
use wasip2::http::types::{IncomingBody, IncomingResponse};
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
    let enough = now() + plan.milliseconds * 1_000_000;
    while plan.milliseconds > 0 && now() < enough {
        (0..10_000_u64).for_each(|turn| _ = black_box(turn));
    }
    Ok(vec![Event::Text("paid ".into())])
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
