//! A newer plugin takes over in the middle of an answer.

use provider_host::registry::{Offered, Registry, Slot, SwapPolicy};
use provider_host::{Chat, Plugin, ProviderOptions, types};

use std::io::Write as _;

use super::say;
use crate::cli::answer::Answer;
use crate::cli::arguments::Arguments;
use crate::cli::screen::Screen;
use crate::cli::terminal::BOLD;
use crate::cli::{opened, request, terminal};

/// Long enough that a plugin is compiled while it is answered, and nothing of it can be lost unseen.
const PROMPT: &str = "Count to 30.";

/// Pieces of text that are shown before the newer plugin is offered.
const BEFORE: usize = 12;

/// Pieces that are shown while it is checked. The rest waits for it, so that the swap is in the middle on any machine.
const MEANWHILE: usize = 12;

/// Answers, and swaps meanwhile.
pub(super) async fn show(
    arguments: &Arguments,
    plugin: &Plugin,
    options: ProviderOptions,
    model: &types::Model,
) -> anyhow::Result<()> {
    let registry = Registry::with_policy(SwapPolicy::new());
    let slot = registry.serve(plugin, options)?;
    let (newer, how) = newer(arguments)?;
    say(how)?;

    writeln!(anstream::stdout(), "{BOLD}>{BOLD:#} {PROMPT}")?;
    let (mut out, mut aside) = (anstream::stdout(), anstream::stdout());
    let is_terminal = terminal::stdout_is_terminal();
    let mut screen = Screen::new((&mut out, is_terminal), &mut aside);
    let mut answer = Answer::whole();
    let mut chat = slot.chat(model, &request::of_prompt(PROMPT)).await?;
    read(&mut chat, BEFORE, &mut answer, &mut screen).await?;
    let began = slot.generation();
    let (offered, shown) = tokio::join!(
        slot.offer_bytes(newer),
        read(&mut chat, MEANWHILE, &mut answer, &mut screen)
    );
    shown?;
    screen.end_of_line()?;
    say(&told(offered?, &slot, began))?;
    read(&mut chat, usize::MAX, &mut answer, &mut screen).await?;
    screen.account(&answer, model)?;
    say(&format!(
        "Generation {began} is done. The next question goes to the newer one, and one call (`Slot::roll_back`)"
    ))?;
    say("would return to the older one.")
}

/// Shows an answer until so many pieces of text have come, or to its end.
async fn read(
    chat: &mut Chat,
    pieces: usize,
    answer: &mut Answer,
    screen: &mut Screen<'_>,
) -> anyhow::Result<()> {
    let mut shown = 0;
    while shown < pieces {
        // One at a time, so that it stops where it should.
        let batch = chat.next_batch(1).await?;
        if batch.is_empty() {
            break;
        }
        for event in &batch {
            answer.add(event);
            shown += usize::from(matches!(event, types::Event::Text(_)));
        }
        screen.show(&batch)?;
    }
    Ok(())
}

fn told(offered: Offered, slot: &Slot, began: u64) -> String {
    let status = slot.status().serving;
    let digest = status.digest.get(..16).unwrap_or_default();
    match offered {
        Offered::Serving(new) => format!(
            "… generation {} serves now: {} {}, sha256 {digest}…, compiled and tested meanwhile;\n\
             this answer goes on with generation {began}:",
            new.generation,
            slot.id(),
            status.version,
        ),
        _ => format!("… generation {began} serves on."),
    }
}

/// A newer plugin, made from the one that runs, and how.
fn newer(arguments: &Arguments) -> anyhow::Result<(Vec<u8>, &'static str)> {
    #[cfg(feature = "embedded-plugin")]
    if arguments.plugin.is_none()
        && let Some(newer) = raised(provider_host::plugin::EMBEDDED)
    {
        return Ok((
            newer,
            "The newer one is this very component with a higher version written into its manifest.",
        ));
    }
    let Some(path) = &arguments.plugin else {
        anyhow::bail!("there is no plugin to make a newer one of");
    };
    let mut bytes = opened::read_trusted(arguments, path)?;
    // A custom section more: it does the same, and is another file.
    bytes.extend(*b"\0\x06\x04note!");
    Ok((
        bytes,
        "The newer one is this very component with a note behind it, which makes it another file.",
    ))
}

/// A component whose manifest has the next minor version: in its section, and in the copy that it reads when it runs.
#[cfg(feature = "embedded-plugin")]
fn raised(component: &[u8]) -> Option<Vec<u8>> {
    let version = env!("CARGO_PKG_VERSION");
    let quoted = |version: &str| format!("\"version\":\"{version}\"").into_bytes();
    let (major, rest) = version.split_once('.')?;
    let (minor, patch) = rest.split_once('.')?;
    let minor: u32 = minor.parse().ok()?;
    let next = quoted(&format!("{major}.{}.{patch}", minor + 1));
    let old = quoted(version);
    // Another length would move everything behind it.
    if old.len() != next.len() {
        return None;
    }
    let mut bytes = component.to_vec();
    let places: Vec<usize> = (0..bytes.len())
        .filter(|at| bytes[*at..].starts_with(&old))
        .collect();
    for at in &places {
        bytes[*at..*at + next.len()].copy_from_slice(&next);
    }
    (!places.is_empty()).then_some(bytes)
}
