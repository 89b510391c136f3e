//! Measurements of what was watched, each recorded once, at its end.
//!
//! The conventions also advise `gen_ai.response.model`, which is left out here: it is the server's word, and a server that
//! invents one for each answer would make a time series of each. The spans have it. `…time_per_output_chunk` is left out
//! too: it takes a clock reading and a measurement for each chunk.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter, UpDownCounter};

use super::chat::{Measured, input_tokens};
use super::{End, Labels, Observer};

/// Buckets of times in seconds, as the conventions advise.
const SECONDS: [f64; 14] = [
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];

/// Buckets of numbers of tokens, as the conventions advise.
const TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// The instruments.
pub(super) struct Metrics {
    duration: Histogram<f64>,
    first_chunk: Histogram<f64>,
    input_each: Histogram<u64>,
    output_each: Histogram<u64>,
    input: Counter<u64>,
    output: Counter<u64>,
    cache_read: Counter<u64>,
    cache_write: Counter<u64>,
    reasoning: Counter<u64>,
    operation: Histogram<f64>,
    chats: UpDownCounter<i64>,
    steps: Counter<u64>,
    faults: Counter<u64>,
}

impl Metrics {
    pub(super) fn new(meter: &Meter) -> Self {
        let seconds = |name, description| {
            meter
                .f64_histogram(name)
                .with_unit("s")
                .with_description(description)
                .with_boundaries(SECONDS.to_vec())
                .build()
        };
        let tokens_each = |name, description| {
            meter
                .u64_histogram(name)
                .with_unit("{token}")
                .with_description(description)
                .with_boundaries(TOKENS.to_vec())
                .build()
        };
        let counter = |name, unit, description| {
            meter
                .u64_counter(name)
                .with_unit(unit)
                .with_description(description)
                .build()
        };
        let tokens = |name, description| counter(name, "{token}", description);
        Self {
            duration: seconds(
                "gen_ai.client.inference.duration",
                "Time of a chat, from the call to its end.",
            ),
            first_chunk: seconds(
                "gen_ai.client.inference.time_to_first_chunk",
                "Time from the call to the first piece of the answer's content.",
            ),
            input_each: tokens_each(
                "gen_ai.client.inference.operation.input_tokens",
                "Tokens of the prompt of a chat.",
            ),
            output_each: tokens_each(
                "gen_ai.client.inference.operation.output_tokens",
                "Tokens of the answer of a chat.",
            ),
            input: tokens(
                "gen_ai.client.inference.usage.input_tokens",
                "Tokens of prompts, cached ones included.",
            ),
            output: tokens(
                "gen_ai.client.inference.usage.output_tokens",
                "Tokens of answers, thinking included.",
            ),
            cache_read: tokens(
                "gen_ai.client.inference.usage.cache_read.input_tokens",
                "Tokens of prompts that were read from the server's cache.",
            ),
            cache_write: tokens(
                "gen_ai.client.inference.usage.cache_write.input_tokens",
                "Tokens of prompts that were written to the server's cache at a price of their own.",
            ),
            reasoning: tokens(
                "gen_ai.client.inference.usage.reasoning.output_tokens",
                "Tokens of thinking.",
            ),
            operation: seconds(
                "gen_ai.client.operation.duration",
                "Time of a question beside chats.",
            ),
            chats: meter
                .i64_up_down_counter("provider_host.chats")
                .with_unit("{chat}")
                .with_description("Chats that run.")
                .build(),
            steps: counter(
                "provider_host.route.steps",
                "{step}",
                "Retries, refits and fallbacks of routes.",
            ),
            faults: counter(
                "provider_host.plugin.faults",
                "{fault}",
                "Traps, limits of the sandbox and breaches of the contract.",
            ),
        }
    }

    /// One chat more or less.
    pub(super) fn chats(&self, labels: &Labels<'_>, change: i64) {
        self.chats.add(change, &provider(labels.observer));
    }

    /// A chat that ended.
    pub(super) fn chat(
        &self,
        labels: &Labels<'_>,
        measured: &Measured,
        text_only: bool,
        end: &End<'_>,
    ) {
        let plain = attributes(labels);
        let with_error = failed(plain.clone(), end);
        self.duration
            .record(measured.whole.as_secs_f64(), &with_error);
        if let Some(first) = measured.first {
            self.first_chunk.record(first.as_secs_f64(), &plain);
        }
        self.fault(labels, end);

        // Without a usage 0 is recorded, and then the modality is not known either.
        let usage = measured.usage.as_ref();
        let input = usage.map_or(0, input_tokens);
        let output = usage.map_or(0, |usage| usage.output);
        self.input_each.record(input, &with_error);
        self.output_each.record(output, &with_error);
        let modality = |text: bool| {
            let modality = if text { "text" } else { "unknown" };
            let mut attributes = plain.clone();
            attributes.push(KeyValue::new("gen_ai.token.modality", modality));
            attributes
        };
        let of_prompt = modality(text_only && usage.is_some());
        let of_answer = modality(usage.is_some());
        self.input.add(input, &of_prompt);
        self.output.add(output, &of_answer);
        if let Some(usage) = usage {
            for (counter, tokens) in [
                (&self.cache_read, usage.cache_read),
                (&self.cache_write, usage.cache_write),
            ] {
                if tokens > 0 {
                    counter.add(tokens, &of_prompt);
                }
            }
            if let Some(tokens) = usage.reasoning {
                self.reasoning.add(tokens, &of_answer);
            }
        }
    }

    /// A question that was answered, or not.
    pub(super) fn operation(&self, labels: &Labels<'_>, took: Duration, end: &End<'_>) {
        let attributes = failed(attributes(labels), end);
        self.operation.record(took.as_secs_f64(), &attributes);
        self.fault(labels, end);
    }

    /// A step of a route.
    pub(super) fn step(&self, observer: &Observer, step: &'static str, model: &str, error: &str) {
        let mut attributes = provider(observer);
        attributes.push(KeyValue::new("provider_host.route.step", step));
        attributes.push(KeyValue::new(
            "provider_host.route.model",
            observer.word(model),
        ));
        attributes.push(KeyValue::new("error.type", error.to_owned()));
        self.steps.add(1, &attributes);
    }

    fn fault(&self, labels: &Labels<'_>, end: &End<'_>) {
        let fault = match end {
            End::Failed(error) => error.is_plugin_fault(),
            End::Whole | End::Dropped => false,
        };
        if fault {
            let mut attributes = provider(labels.observer);
            attributes.push(KeyValue::new("gen_ai.operation.name", labels.operation));
            attributes.push(KeyValue::new(
                "provider_host.plugin.version",
                Arc::clone(&labels.observer.version),
            ));
            self.faults.add(1, &failed(attributes, end));
        }
    }
}

fn provider(observer: &Observer) -> Vec<KeyValue> {
    vec![
        KeyValue::new("gen_ai.provider.name", Arc::clone(&observer.provider)),
        KeyValue::new("server.address", Arc::clone(&observer.address)),
        KeyValue::new("server.port", observer.port),
    ]
}

fn attributes(labels: &Labels<'_>) -> Vec<KeyValue> {
    let mut attributes = provider(labels.observer);
    attributes.push(KeyValue::new("gen_ai.operation.name", labels.operation));
    if let Some(model) = labels.model {
        attributes.push(KeyValue::new("gen_ai.request.model", Arc::clone(model)));
    }
    attributes
}

fn failed(mut attributes: Vec<KeyValue>, end: &End<'_>) -> Vec<KeyValue> {
    if let Some(kind) = end.error_type() {
        attributes.push(KeyValue::new("error.type", kind.into_owned()));
    }
    attributes
}
