//! A meter that keeps what is measured: the part of OpenTelemetry's SDK that these tests need, without its dependencies.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{
    Counter, Histogram, HistogramBuilder, InstrumentBuilder, InstrumentProvider, Meter,
    SyncInstrument, UpDownCounter,
};

/// One measurement: its value, and its attributes as `name=value`, in order.
pub(crate) type Measurement = (f64, Vec<String>);

/// What was made and measured.
#[derive(Clone, Default)]
pub(crate) struct Measured(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Unit and buckets by name.
    instruments: BTreeMap<String, (String, Vec<f64>)>,
    measurements: BTreeMap<String, Vec<Measurement>>,
}

impl Measured {
    pub(crate) fn meter(&self) -> Meter {
        Meter::new(Arc::new(self.clone()))
    }

    /// Names of what was made, with their units and buckets.
    pub(crate) fn instruments(&self) -> BTreeMap<String, (String, Vec<f64>)> {
        self.0.lock().expect("the state").instruments.clone()
    }

    /// What was measured with an instrument.
    pub(crate) fn of(&self, name: &str) -> Vec<Measurement> {
        let state = self.0.lock().expect("the state");
        assert!(state.instruments.contains_key(name), "there is no {name}");
        state.measurements.get(name).cloned().unwrap_or_default()
    }

    /// All attributes of all measurements, in one text.
    pub(crate) fn text(&self) -> String {
        format!("{:?}", self.0.lock().expect("the state").measurements)
    }

    /// Names of all attributes of all measurements.
    pub(crate) fn attributes(&self) -> Vec<String> {
        let state = self.0.lock().expect("the state");
        let all = state.measurements.values().flatten().flat_map(|one| &one.1);
        let names = all.filter_map(|one| Some(one.split_once('=')?.0.to_owned()));
        names.collect()
    }

    fn instrument(&self, name: &str, unit: Option<&str>, buckets: Option<Vec<f64>>) -> One {
        let kind = (
            unit.unwrap_or_default().to_owned(),
            buckets.unwrap_or_default(),
        );
        let mut state = self.0.lock().expect("the state");
        let before = state.instruments.insert(name.to_owned(), kind);
        assert!(before.is_none(), "{name} was made twice");
        One {
            name: name.to_owned(),
            measured: self.clone(),
        }
    }
}

struct One {
    name: String,
    measured: Measured,
}

impl One {
    fn keep(&self, value: f64, attributes: &[KeyValue]) {
        let mut told: Vec<String> = attributes
            .iter()
            .map(|one| format!("{}={}", one.key, one.value))
            .collect();
        told.sort();
        let mut state = self.measured.0.lock().expect("the state");
        let all = state.measurements.entry(self.name.clone()).or_default();
        all.push((value, told));
    }
}

impl SyncInstrument<u64> for One {
    fn measure(&self, measurement: u64, attributes: &[KeyValue]) {
        self.keep(measurement as f64, attributes);
    }
}

impl SyncInstrument<i64> for One {
    fn measure(&self, measurement: i64, attributes: &[KeyValue]) {
        self.keep(measurement as f64, attributes);
    }
}

impl SyncInstrument<f64> for One {
    fn measure(&self, measurement: f64, attributes: &[KeyValue]) {
        self.keep(measurement, attributes);
    }
}

impl InstrumentProvider for Measured {
    fn u64_counter(&self, builder: InstrumentBuilder<'_, Counter<u64>>) -> Counter<u64> {
        let one = self.instrument(&builder.name, builder.unit.as_deref(), None);
        Counter::new(Arc::new(one))
    }

    fn i64_up_down_counter(
        &self,
        builder: InstrumentBuilder<'_, UpDownCounter<i64>>,
    ) -> UpDownCounter<i64> {
        let one = self.instrument(&builder.name, builder.unit.as_deref(), None);
        UpDownCounter::new(Arc::new(one))
    }

    fn f64_histogram(&self, builder: HistogramBuilder<'_, Histogram<f64>>) -> Histogram<f64> {
        let unit = builder.unit.as_deref();
        Histogram::new(Arc::new(self.instrument(
            &builder.name,
            unit,
            builder.boundaries,
        )))
    }

    fn u64_histogram(&self, builder: HistogramBuilder<'_, Histogram<u64>>) -> Histogram<u64> {
        let unit = builder.unit.as_deref();
        Histogram::new(Arc::new(self.instrument(
            &builder.name,
            unit,
            builder.boundaries,
        )))
    }
}
