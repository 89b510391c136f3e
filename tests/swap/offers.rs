//! What is offered while chats run: newer plugins, and everything that is none.

use std::path::Path;

use crate::{component, components, variants};

/// Something to offer.
pub(crate) struct Offer {
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
    /// Whether it has to serve.
    pub(crate) serves: bool,
    /// To the slot of the hostile provider, whose settings tell it what to do.
    pub(crate) to_hostile: bool,
}

/// Ten offers, of which five serve. `round` makes the versions grow from one round to the next.
pub(crate) fn round(round: usize, hostile: &[u8]) -> Vec<Offer> {
    let version = |step: usize| variants::version(&format!("0.{}.{}", round + 1, step));
    let offer = |name, bytes, serves| Offer {
        name,
        bytes,
        serves,
        to_hostile: false,
    };
    let whole = version(9);
    let half = whole[..whole.len() / 2].to_vec();
    let mut hostile = hostile.to_vec();
    hostile.extend([
        0,
        6,
        4,
        b'n',
        b'o',
        b't',
        b'e',
        u8::try_from(round).expect("a few"),
    ]);
    vec![
        offer("newer", version(1), true),
        offer("truncated", half, false),
        offer("newer", version(2), true),
        Offer {
            name: "hostile: loops in its self-test",
            bytes: hostile,
            serves: false,
            to_hostile: true,
        },
        offer("slow to compile", slow(&version(3)), true),
        offer("older", variants::version("0.0.1"), false),
        offer("another provider", variants::named("vlmm"), false),
        offer("newer", version(4), true),
        match round % 3 {
            0 => offer("random bytes", noise(), false),
            1 => offer("the next contract", variants::contract("0.2.0"), false),
            _ => offer("decodes wrongly", wrong(), false),
        },
        offer("newer", version(5), true),
    ]
}

/// The plugin with a module beside it that is never run: 10,000 functions to compile.
fn slow(plugin: &[u8]) -> Vec<u8> {
    let module = components::idle(10_000, 400);
    let mut bytes = plugin.to_vec();
    bytes.push(1);
    let mut length = module.len();
    loop {
        let low = u8::try_from(length & 0x7f).expect("seven bits");
        length >>= 7;
        bytes.push(if length == 0 { low } else { low | 0x80 });
        if length == 0 {
            break;
        }
    }
    bytes.extend(module);
    bytes
}

fn noise() -> Vec<u8> {
    let mut state = 7_u64;
    let mut bytes = b"\0asm".to_vec();
    bytes.extend((0..200_000).map(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    }));
    bytes
}

/// Broken as a build can be, and newer than what serves.
fn wrong() -> Vec<u8> {
    let mut bytes = variants::deaf();
    let (old, new) = (b"\"version\":\"0.1.0\"", b"\"version\":\"9.9.9\"");
    for at in 0..bytes.len() - old.len() {
        if bytes[at..].starts_with(old) {
            bytes[at..at + new.len()].copy_from_slice(new);
        }
    }
    bytes
}

/// The hostile component of the tests.
pub(crate) fn hostile() -> Vec<u8> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a workspace");
    let built = component::build_package(workspace, "hostile-provider").expect("the component");
    std::fs::read(built).expect("its file")
}
