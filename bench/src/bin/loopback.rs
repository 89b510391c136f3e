//! Whole client processes against one server on this machine, as the operating system accounts for them.
//!
//! `cargo xtask bench loopback [--rounds N] [--parts abcds]`. Each round runs every client once, one after another; cells
//! are the median of the rounds with the smallest and the largest, × is the median of the ratios to async-openai within a
//! round. Processor time is that of the whole client process, threads of its runtime included.
//!
//! | part | what |
//! |---|---|
//! | a | full speed, 1, 8 and 64 events a write; and one event a millisecond: processor time per event |
//! | b | one event every 10 ms: added delay; 200 short chats, one after another, warm: time to the first event, processor time |
//! | c | 200 streams of 20 events a second: processor time, delay, memory |
//! | d | from the start of the process to the first token; ours also without the compile cache |
//! | s | 1, 200, 1,000 and 5,000 streams of 20 events a second: delay, processor time, memory per stream |
//!
//! Beside the figures of each round: how late the server wrote at most against its own schedule, and
//! the processor time that the hypervisor gave to others. A delay that is as large as either is no
//! client's.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use provider_bench::machine::{Machine, Passed};
use provider_bench::measure::{Spread, now, percentile};
use serde_json::Value;

const OURS: &str = "provider-host";
const BASE: &str = "async-openai";
const CLIENTS: [&str; 3] = [OURS, BASE, "hyper"];

fn main() {
    let mut rounds = 5;
    let mut parts = "abcds".to_owned();
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().unwrap_or_default();
        match (name.as_str(), value.parse()) {
            ("--rounds", Ok(number)) => rounds = number,
            ("--parts", _) if !value.is_empty() => parts = value,
            _ => {
                eprintln!("usage: loopback [--rounds N] [--parts abcds]");
                std::process::exit(2);
            }
        }
    }
    let bench = Bench::start();
    let mut table = Table::default();
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        table.round = round;
        for client in CLIENTS {
            for part in parts.chars() {
                bench.part(part, client, &mut table);
            }
        }
    }
    println!("{rounds} rounds; median (smallest–largest); × to {BASE} in the same round\n");
    table.print();
    println!(
        "\nthe machine, round by round: how late the server wrote at most, in ms; processor time stolen\n"
    );
    table.print_machine();
}

struct Bench {
    server: Child,
    url: String,
    programs: PathBuf,
    cache: tempfile::TempDir,
}

impl Bench {
    fn start() -> Self {
        let program = std::env::current_exe().expect("a path");
        let programs = program.parent().expect("a folder").to_owned();
        let mut server = Command::new(programs.join("replay"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("the replay server, built beside this program");
        let mut line = String::new();
        BufReader::new(server.stdout.take().expect("a pipe"))
            .read_line(&mut line)
            .expect("a port");
        let port = line
            .trim()
            .rsplit(' ')
            .next()
            .unwrap_or_default()
            .to_owned();
        Self {
            server,
            url: format!("http://127.0.0.1:{port}"),
            programs,
            cache: tempfile::tempdir().expect("a folder"),
        }
    }

    fn url(&self, spec: &str) -> String {
        match spec {
            "" => format!("{}/v1", self.url),
            spec => format!("{}/replay={spec}/v1", self.url),
        }
    }

    /// Runs a client, and gives what it says and when it was started.
    fn run(&self, client: &str, words: &[&str], skip_ms: u32) -> (Value, u64) {
        let mut command = Command::new(self.programs.join(format!("client-{client}")));
        command
            .args(words)
            .env("PEERS_SKIP_MS", skip_ms.to_string())
            .env("XDG_CACHE_HOME", self.cache.path())
            .stderr(Stdio::inherit());
        if words[0] == "cold" {
            // A pool for one program's few chats, as the command line has it; one for 6,000 takes 20 ms to lay out.
            command.env("BENCH_MAX_CHATS", "16");
        }
        let began = now();
        let output = command
            .output()
            .expect("a client, built beside this program");
        assert!(
            output.status.success(),
            "{client} {words:?}: {}",
            output.status
        );
        let line = String::from_utf8_lossy(&output.stdout);
        (
            serde_json::from_str(line.trim()).expect("a line of JSON"),
            began,
        )
    }

    /// How late the server wrote at most since this was asked last, in ms.
    fn lateness(&self) -> f64 {
        let ask = || -> std::io::Result<String> {
            let address = self.url.trim_start_matches("http://");
            let mut stream = std::net::TcpStream::connect(address)?;
            stream.write_all(b"GET /lateness HTTP/1.1\r\nhost: replay\r\n\r\n")?;
            stream.shutdown(std::net::Shutdown::Write)?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        let answer = ask().expect("the replay server");
        let micros = answer.rsplit("\r\n").next().unwrap_or_default().parse();
        micros.unwrap_or(f64::NAN) / 1e3
    }

    /// Runs one part's measurement of a client, and puts down what the machine did meanwhile.
    fn watched<T>(
        &self,
        what: &str,
        client: &str,
        table: &mut Table,
        measure: impl FnOnce() -> T,
    ) -> T {
        self.lateness();
        let machine = Machine::now();
        let measured = measure();
        let (passed, late) = (machine.since(), self.lateness());
        table.machine(what, client, late, &passed);
        measured
    }

    fn part(&self, part: char, client: &str, table: &mut Table) {
        match part {
            'a' => self.full(client, table),
            'b' => self.warm(client, table),
            'c' => self.streams(client, 200, "c", table),
            'd' => self.cold(client, table),
            's' => {
                for streams in [1, 200, 1_000, 5_000] {
                    self.streams(client, streams, "s", table);
                }
            }
            _ => panic!("no part {part}"),
        }
    }

    fn full(&self, client: &str, table: &mut Table) {
        const EVENTS: usize = 200_000;
        const PACED: usize = 2_000;
        let warm = self.url("n:5000,per:8");
        let fast: Vec<String> = [1, 8, 64]
            .iter()
            .map(|per| self.url(&format!("n:{EVENTS},per:{per}")))
            .collect();
        let paced = self.url(&format!("n:{PACED},per:1,pace:1000"));
        let (said, _) = self.watched("a", client, table, || {
            self.run(
                client,
                &["full", &warm, &fast[0], &fast[1], &fast[2], &paced],
                0,
            )
        });
        let names = [
            ("a, full speed, 1 event a write", EVENTS),
            ("a, full speed, 8 events a write", EVENTS),
            ("a, full speed, 64 events a write", EVENTS),
            ("a, one event a millisecond", PACED),
        ];
        for ((name, events), run) in names.into_iter().zip(list(&said["runs"]).iter().skip(1)) {
            let whole = number(&run["deltas"]) == events as f64
                && number(&run["usage"]) == events as f64
                && run["finish"] == true;
            assert!(whole, "{client} did not read the whole answer: {run}");
            table.add(
                &format!("{name}: µs of processor per event"),
                client,
                number(&run["cpu_us"]) / events as f64,
            );
        }
    }

    fn warm(&self, client: &str, table: &mut Table) {
        let (warm, paced) = (
            self.url("n:200,per:1"),
            self.url("n:300,per:1,pace:10000,stamp:1"),
        );
        let what = "b, one event every 10 ms";
        let (said, _) = self.watched(what, client, table, || {
            self.run(client, &["paced", &warm, &paced], 0)
        });
        let delays = numbers(&said["lat_us"]);
        for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
            let name = format!("b, one event every 10 ms: delay {name}, µs");
            table.add(&name, client, percentile(&delays, share));
        }
        let (said, _) = self.watched("b, short chats", client, table, || {
            self.run(client, &["ttft", &self.url(""), "200"], 0)
        });
        let first = numbers(&said["ttft_us"]);
        for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
            let name = format!("b, a short chat, warm: first event {name}, µs");
            table.add(&name, client, percentile(&first, share));
        }
        let total = percentile(&numbers(&said["total_us"]), 0.5);
        table.add("b, a short chat, warm: chats a second", client, 1e6 / total);
        let name = "b, a chat of 8 tokens: µs of processor";
        table.add(name, client, number(&said["cpu_us"]) / 200.0);
    }

    fn streams(&self, client: &str, streams: usize, part: &str, table: &mut Table) {
        let url = self.url("n:100,per:1,pace:50000,stamp:1,jit:1");
        let skip = if streams > 1_000 { 2_500 } else { 1_000 };
        let what = format!("{part}, {streams} streams");
        let (said, _) = self.watched(&what, client, table, || {
            self.run(client, &["conc", &url, &streams.to_string()], skip)
        });
        assert!(
            number(&said["deltas"]) == streams as f64 * 100.0,
            "{client} did not read all of {streams} answers"
        );
        let delays = numbers(&said["lat_us"]);
        let name = format!("{what}: % of a processor");
        let wall = number(&said["wall_us"]);
        table.add(&name, client, number(&said["cpu_us"]) / wall * 100.0);
        for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
            let name = format!("{what}: delay {name}, µs");
            table.add(&name, client, percentile(&delays, share));
        }
        let resident = number(&said["hwm_kb"]);
        table.add(
            &format!("{what}: resident at most, MB"),
            client,
            resident / 1024.0,
        );
        if streams >= 1_000 {
            let each = resident / streams as f64;
            table.add(&format!("{what}: resident per stream, KiB"), client, each);
        }
    }

    fn cold(&self, client: &str, table: &mut Table) {
        let url = self.url("");
        let first = |said: &Value, began| (number(&said["first_ns"]) - began as f64) / 1e6;
        if client == OURS {
            let cached = self.cache.path().join("provider-host");
            let _ = std::fs::remove_dir_all(cached);
            let (said, began) = self.run(client, &["cold", &url], 0);
            let name = "d, start to first token, nothing compiled: ms";
            table.add(name, client, first(&said, began));
        }
        let (said, began) =
            self.watched("d", client, table, || self.run(client, &["cold", &url], 0));
        table.add("d, start to first token: ms", client, first(&said, began));
        let resident = number(&said["rss_kb"]) / 1024.0;
        table.add("d, one chat: resident, MB", client, resident);
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn numbers(value: &Value) -> Vec<f64> {
    list(value).iter().map(number).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// Readings by row and client, a round each.
#[derive(Default)]
struct Table {
    rows: Vec<String>,
    cells: BTreeMap<(String, String), Vec<f64>>,
    /// The round that is under way.
    round: usize,
    /// What the machine did, by what was measured, and in each round by client.
    machine: Vec<(String, Vec<BTreeMap<String, String>>)>,
}

impl Table {
    fn machine(&mut self, what: &str, client: &str, late: f64, passed: &Passed) {
        let cell = match late {
            // Nothing was written that had a schedule.
            0.0 => format!("–; {passed}"),
            late => format!("{late:.2}; {passed}"),
        };
        eprintln!("  {what}, {client}: server late, ms; stolen: {cell}");
        let at = self.machine.iter().position(|(known, _)| known == what);
        let at = at.unwrap_or_else(|| {
            self.machine.push((what.to_owned(), Vec::new()));
            self.machine.len() - 1
        });
        let rounds = &mut self.machine[at].1;
        rounds.resize_with(self.round, BTreeMap::new);
        rounds[self.round - 1].insert(client.to_owned(), cell);
    }

    fn print_machine(&self) {
        println!("| | round | {OURS} | {BASE} | hyper, serde_json |\n|---|---|---|---|---|");
        for (what, rounds) in &self.machine {
            for (round, cells) in (1..).zip(rounds) {
                let of = |client: &str| cells.get(client).map_or("–", String::as_str);
                println!(
                    "| {what} | {round} | {} | {} | {} |",
                    of(OURS),
                    of(BASE),
                    of("hyper")
                );
            }
        }
    }

    fn add(&mut self, row: &str, client: &str, reading: f64) {
        if !self.rows.iter().any(|known| known == row) {
            self.rows.push(row.to_owned());
        }
        let key = (row.to_owned(), client.to_owned());
        self.cells.entry(key).or_default().push(reading);
    }

    fn print(&self) {
        println!("| | {OURS} | × | {BASE} | hyper, serde_json |\n|---|---|---|---|---|");
        for row in &self.rows {
            let of = |client: &str| {
                let key = (row.clone(), client.to_owned());
                self.cells.get(&key).map_or(&[][..], Vec::as_slice)
            };
            let ratios: Vec<f64> = of(OURS).iter().zip(of(BASE)).map(|(a, b)| a / b).collect();
            let ratio = match ratios[..] {
                [] => "–".to_owned(),
                _ => format!("**{:.2}**", Spread::of(&ratios).median),
            };
            println!(
                "| {row} | {} | {ratio} | {} | {} |",
                cell(of(OURS)),
                cell(of(BASE)),
                cell(of("hyper"))
            );
        }
    }
}

fn cell(readings: &[f64]) -> String {
    if readings.is_empty() {
        return "–".to_owned();
    }
    let Spread { min, median, max } = Spread::of(readings);
    let digits = match median {
        ..10.0 => 2,
        ..1000.0 => 1,
        _ => 0,
    };
    format!("{median:.digits$} ({min:.digits$}–{max:.digits$})")
}
