//! Streams of events that may become wrong.

use super::dice::Dice;
use super::mutate::{bytes, json};

/// A body as blocks, each up to and with its empty line.
fn blocks(body: &[u8]) -> Vec<Vec<u8>> {
    let mut blocks = Vec::new();
    let mut rest = body;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"\n\n") {
        blocks.push(rest[..at + 2].to_vec());
        rest = &rest[at + 2..];
    }
    if !rest.is_empty() {
        blocks.push(rest.to_vec());
    }
    blocks
}

const DONE: &[u8] = b"data: [DONE]\n\n";

/// Lines that an event may hold or that stand between two.
const LINES: &[&str] = &[
    ": keep-alive\n\n",
    ":\n\n",
    "\n",
    "\n\n\n\n",
    "data\n\n",
    "data:\n\n",
    "data: \n\n",
    "data:  [DONE]\n\n",
    "data: [DONE] \n\n",
    "data: [done]\n\n",
    "event: error\ndata: {\"error\":{\"message\":\"m\",\"code\":500}}\n\n",
    "event: ping\n\n",
    "id: 1\nretry: 10\n\n",
    "id: \0\n\n",
    "unknown: field\n\n",
    " data: {}\n\n",
    "Data: {}\n\n",
    "data : {}\n\n",
    "data: {}\ndata: {}\n\n",
    "data: null\n\n",
    "data: {\"error\":{\"message\":\"m\",\"type\":\"T\",\"code\":400}}\n\n",
    "data: {\"error\":\"m\"}\n\n",
    "data: {\"choices\":[]}\n\n",
    "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"other\"}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":7,\"function\":{\"arguments\":\"{\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}}]}\n\n",
];

/// Changes one thing in a stream; `other` is the body of another recording.
pub(super) fn mutate(body: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    let mut all = blocks(body);
    if all.is_empty() {
        all.push(DONE.to_vec());
    }
    let at = dice.below(all.len());
    match dice.below(24) {
        // Most mistakes are inside of one event.
        0..=8 => all[at] = of_data(&all[at], |data| json(data, dice)),
        9 => bytes(&mut all[at], dice),
        10 => {
            all.remove(at);
        }
        11 => {
            let block = all[at].clone();
            all.insert(dice.place(all.len()), block);
        }
        12 => {
            let with = dice.below(all.len());
            all.swap(at, with);
        }
        13 => {
            // Two events become one.
            let length = all[at].len();
            all[at].truncate(length.saturating_sub(1));
        }
        14 => {
            // One event's data stands on two lines.
            let place = dice.place(all[at].len());
            let line: &[u8] = dice.pick(&[&b"\ndata: "[..], b"\ndata:", b"\n", b"\n\n"]);
            all[at].splice(place..place, line.iter().copied());
        }
        15 | 16 => {
            let line = dice.pick(LINES).as_bytes().to_vec();
            all.insert(dice.place(all.len()), line);
        }
        17 => all.insert(dice.place(all.len()), DONE.to_vec()),
        18 => all.retain(|block| block != DONE),
        19 => {
            let others = blocks(other);
            if !others.is_empty() {
                let range = dice.range(others.len());
                let place = dice.place(all.len());
                all.splice(place..place, others[range].iter().cloned());
            }
        }
        20 => {
            let range = dice.range(all.len());
            all[range].reverse();
        }
        21 => {
            let range = dice.range(all.len());
            for block in &mut all[range] {
                *block = ended_by(block, dice.pick(&[&b"\r\n"[..], b"\r", b"\n"]));
            }
        }
        22 => {
            let mark: &[u8] = dice.pick(&[&b"\xef\xbb\xbf"[..], b"\xff\xfe", b"\0", b"\n", b"\r"]);
            all[0].splice(0..0, mark.iter().copied());
        }
        _ => {
            let block = dice.pick(LINES).as_bytes().repeat(dice.length(400));
            all.insert(dice.place(all.len()), block);
        }
    }
    *body = all.concat();
}

/// The block with its first data changed.
fn of_data(block: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let Some(data) = block.strip_prefix(b"data: ") else {
        let mut block = block.to_vec();
        change(&mut block);
        return block;
    };
    let mut data = data.strip_suffix(b"\n\n").unwrap_or(data).to_vec();
    change(&mut data);
    [&b"data: "[..], &data, b"\n\n"].concat()
}

/// The block with other line ends.
fn ended_by(block: &[u8], end: &[u8]) -> Vec<u8> {
    let lines: Vec<&[u8]> = block.split(|byte| *byte == b'\n').collect();
    lines.join(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_its_blocks() {
        let body = b"data: 1\n\n: c\n\ndata: 2\ndata: 3\n\ndata: 4";
        let found = blocks(body);
        assert_eq!(found.len(), 4);
        assert_eq!(found.concat(), body);
    }

    #[test]
    fn the_data_of_an_event_is_changed_within_its_frame() {
        let changed = of_data(b"data: {}\n\n", |data| data.push(b'!'));
        assert_eq!(changed, b"data: {}!\n\n");
        assert_eq!(ended_by(b"data: 1\n\n", b"\r"), b"data: 1\r\r");
    }
}
