//! The program's own log, on stderr.
//!
//! A line names the span that it belongs to by what tells one chat from another; what the chat was asked with is on the
//! command line already. From `debug` on, a span's end is a line of its own, with all that became known of it.

use tracing::field::{Field, Visit};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::{RecordFields, VisitOutput as _};
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{DefaultVisitor, FmtSpan, Writer};

use super::arguments::{Arguments, Command};
use super::terminal;

pub(super) fn start(arguments: &Arguments) {
    let Some(level) = arguments.log_level.level() else {
        return;
    };
    let ends = if level >= tracing::Level::DEBUG {
        FmtSpan::CLOSE
    } else {
        FmtSpan::NONE
    };
    // A session tells people itself what becomes of its plugin.
    let session = matches!(&arguments.command, Command::Chat(options) if options.watch);
    let filter = match session && level == tracing::Level::WARN {
        true => "warn,provider_host::registry=error".to_owned(),
        false => level.to_string(),
    };
    // Fails only if there is a logger already, and nobody else sets one.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .with_ansi(terminal::stderr_has_colour())
        .with_span_events(ends)
        .fmt_fields(Brief)
        .without_time()
        .try_init();
}

/// Fields without those that are the same for everything one command does. Values are in one line and without hidden
/// characters: servers and plugins have their words in them.
struct Brief;

impl<'w> FormatFields<'w> for Brief {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> std::fmt::Result {
        let mut brief = BriefVisitor(DefaultVisitor::new(writer, true));
        fields.record(&mut brief);
        brief.0.finish()
    }
}

struct BriefVisitor<'w>(DefaultVisitor<'w>);

impl Visit for BriefVisitor<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.record_debug(field, &format_args!("{value}"));
        } else {
            self.record_debug(field, &value);
        }
    }

    // Every other type of value comes here by default.
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if !is_known(field.name()) {
            let text = format!("{value:?}");
            let text = terminal::escaped(&text);
            self.0.record_debug(field, &format_args!("{text}"));
        }
    }
}

fn is_known(name: &str) -> bool {
    const KNOWN: [&str; 6] = [
        "gen_ai.operation.name",
        "gen_ai.provider.name",
        "gen_ai.request.",
        "otel.kind",
        "provider_host.plugin.version",
        "server.",
    ];
    KNOWN.iter().any(|known| name.starts_with(known))
}
