//! Attacks that no compiler would write: components made by hand, and the hostile plugin with something added to it.
//!
//! A component is a row of sections. What is put behind the last one is instantiated last, with everything else in place,
//! so that an added module's start function runs when a chat begins.

use provider_host::plugin::MANIFEST_SECTION;
use wasmparser::{Parser, Payload};

use super::ends::Ends::{self, Limit, Refused, Steps, Trap, Well};

/// Something of which the host should want nothing.
pub(super) struct Written {
    pub(super) name: &'static str,
    pub(super) tries: &'static str,
    /// What it is made of: the imports of a component, or a module added to the plugin, so many times.
    pub(super) made: Made,
    pub(super) ends: Ends,
}

pub(super) enum Made {
    /// A component of the contract's exports that also asks for these.
    Importing(&'static [&'static str]),
    /// The same in the text form of WebAssembly.
    Asking(&'static str),
    /// The plugin, with this module instantiated so often.
    Adding(&'static str, usize),
    /// The plugin with this order in the file, for what happens before it is told anything.
    Marked(&'static str),
    /// The same with so many copies of a text between two others.
    Repeating(&'static str, usize, &'static str, &'static str),
}

impl Written {
    /// The file.
    pub(super) fn bytes(&self, plugin: &[u8]) -> Vec<u8> {
        match self.made {
            Made::Importing(names) => {
                let one = |name: &&str| format!("(import \"{name}\" (instance))");
                component(&names.iter().map(one).collect::<String>())
            }
            Made::Asking(text) => component(text),
            Made::Marked(order) => marked(plugin, order),
            Made::Adding(module, times) => added(plugin, &parse(module), times),
            Made::Repeating(before, times, text, behind) => {
                let module = format!("{before}{}{behind}", text.repeat(times));
                added(plugin, &parse(&module), 1)
            }
        }
    }
}

fn parse(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

/// A component that says it is a provider, and has nothing to show for it.
fn component(imports: &str) -> Vec<u8> {
    let manifest =
        r#"{\"id\":\"h\",\"label\":\"H\",\"api\":\"a\",\"version\":\"1\",\"config_schema\":{}}"#;
    parse(&format!(
        "(component {imports} (instance $none)
           (export \"llm:provider/info@0.1.0\" (instance $none))
           (export \"llm:provider/catalog@0.1.0\" (instance $none))
           (export \"llm:provider/chat@0.1.0\" (instance $none))
           (@custom \"{MANIFEST_SECTION}\" \"{manifest}\"))"
    ))
}

/// A component with its mark written over.
fn marked(plugin: &[u8], order: &str) -> Vec<u8> {
    const MARK: &[u8] = b"hostile-mark:";
    let mut bytes = plugin.to_vec();
    let found = bytes.windows(MARK.len()).position(|part| part == MARK);
    let at = found.expect("its mark") + MARK.len();
    bytes[at..at + order.len()].copy_from_slice(order.as_bytes());
    bytes
}

/// A component with a core module more, instantiated so often.
pub(crate) fn added(plugin: &[u8], module: &[u8], times: usize) -> Vec<u8> {
    let mut depth = 0;
    let mut modules = 0;
    for payload in Parser::new(0).parse_all(plugin) {
        match payload.expect("a component") {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ModuleSection { .. } if depth == 1 => modules += 1,
            _ => {}
        }
    }
    let mut instances = leb128(times);
    for _ in 0..times {
        instances.push(0);
        instances.extend(leb128(modules));
        instances.push(0);
    }
    let mut bytes = plugin.to_vec();
    for (section, content) in [(1, module), (2, &instances)] {
        bytes.push(section);
        bytes.extend(leb128(content.len()));
        bytes.extend(content);
    }
    bytes
}

fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let seven = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(seven);
            return bytes;
        }
        bytes.push(seven | 0x80);
    }
}

macro_rules! written {
    ($($name:literal: $tries:literal, $made:expr => $ends:expr;)*) => {
        pub(super) const WRITTEN: &[Written] = &[$(Written {
            name: $name,
            tries: $tries,
            made: $made,
            ends: $ends,
        }),*];
    };
}

use Made::{Adding, Asking, Importing, Marked, Repeating};

written! {
    "start-loop": "to compute without end while the instance starts",
        Adding("(module (func $f (loop (br 0))) (start $f))", 1) => Limit("processor time");
    "start-trap": "to fail while the instance starts",
        Adding("(module (func $f unreachable) (start $f))", 1) => Trap("unreachable");
    "start-recursion": "to use up the stack while the instance starts",
        Adding("(module (func $f (call $f)) (start $f))", 1) => Limit("stack");
    "start-host-calls": "to call the host without end while the instance starts",
        Marked("host-calls") => Limit("processor time");
    "start-memory": "to grow while the instance starts",
        Marked("memory") => Limit("memory");
    "start-request": "to send a request to another server before it is asked anything",
        Marked("request") => Steps(&["denied"]);
    "manifest-loop": "to compute without end when asked for its manifest, which the host takes from the file",
        Marked("manifest") => Well;
    "table-growth": "to let a table grow without end",
        Adding(
            "(module (table 1 funcref) (func $f
               (loop (br_if 0 (i32.ne (table.grow 0 (ref.null func) (i32.const 100)) (i32.const -1))))
               unreachable) (start $f))",
            1,
        ) => Limit("table elements");
    "table-at-once": "a table of two thousand million elements",
        Adding("(module (table 2000000000 funcref))", 1) => Refused("table");
    "many-tables": "a hundred tables",
        Repeating("(module ", 100, "(table 1 funcref)", ")") => Refused("table");
    "many-memories": "a hundred memories",
        Repeating("(module ", 100, "(memory 1)", ")") => Refused("memor");
    "second-memory": "a memory of 4 GiB beside its own",
        Adding("(module (memory 65536))", 1) => Refused("memor");
    "shared-memory": "memory that threads could share",
        Adding("(module (memory 1 1 shared))", 1) => Refused("shared");
    "many-instances": "nine hundred instances of a module",
        Adding("(module)", 900) => Refused("core module instances");
    "many-globals": "two hundred thousand global variables, which the host keeps for each instance",
        Repeating("(module ", 200_000, "(global (mut i64) (i64.const 1))", ")") => Refused("");
    "import-environment": "to read variables, arguments and the directory it runs in",
        Importing(&["wasi:cli/environment@0.2.12"]) => Refused("wasi:cli/environment@0.2.12");
    "import-exit": "to end the process",
        Importing(&["wasi:cli/exit@0.2.12"]) => Refused("wasi:cli/exit@0.2.12");
    "import-stdio": "to read and write what the user sees",
        Importing(&["wasi:cli/stdin@0.2.12", "wasi:cli/stdout@0.2.12", "wasi:cli/stderr@0.2.12", "wasi:cli/terminal-stdout@0.2.12"])
            => Refused("wasi:cli/terminal-stdout@0.2.12");
    "import-files": "to open files",
        Importing(&["wasi:filesystem/types@0.2.12", "wasi:filesystem/preopens@0.2.12"]) => Refused("wasi:filesystem/preopens@0.2.12");
    "import-wall-clock": "to know the day",
        Importing(&["wasi:clocks/wall-clock@0.2.12", "wasi:clocks/timezone@0.2.12"]) => Refused("wasi:clocks/wall-clock@0.2.12");
    "import-randomness": "to draw lots",
        Importing(&["wasi:random/random@0.2.12", "wasi:random/insecure@0.2.12", "wasi:random/insecure-seed@0.2.12"])
            => Refused("wasi:random/insecure-seed@0.2.12");
    "import-sockets": "to connect to where it likes",
        Importing(&["wasi:sockets/tcp@0.2.12", "wasi:sockets/tcp-create-socket@0.2.12", "wasi:sockets/udp@0.2.12", "wasi:sockets/instance-network@0.2.12", "wasi:sockets/ip-name-lookup@0.2.12"])
            => Refused("wasi:sockets/ip-name-lookup@0.2.12");
    "import-incoming-requests": "to pass requests to whoever serves them",
        Importing(&["wasi:http/incoming-handler@0.2.12"]) => Refused("wasi:http/incoming-handler@0.2.12");
    "import-wasi-0.3": "the next WASI, whose requests go another way",
        Importing(&["wasi:http/client@0.3.0", "wasi:http/handler@0.3.0", "wasi:clocks/monotonic-clock@0.3.0", "wasi:cli/run@0.3.0"])
            => Refused("wasi:http/client@0.3.0");
    "import-storage": "stores that hosts have",
        Importing(&["wasi:keyvalue/store@0.2.0-draft", "wasi:config/store@0.2.0-rc.1", "wasi:blobstore/blobstore", "wasi:logging/logging"])
            => Refused("wasi:logging/logging");
    "import-unknown": "a package that nobody knows",
        Importing(&["evil:host/shell@1.0.0"]) => Refused("evil:host/shell@1.0.0");
    "import-look-alikes": "names that are nearly those that are given",
        Importing(&["wasi:http/types2@0.2.12", "wasi:http/outgoing-handler@1.0.0", "wasi:io/poll", "wasix:io/poll@0.2.12"])
            => Refused("wasix:io/poll@0.2.12");
    "import-threads": "a memory and a table of the host's",
        Asking("(import \"threads\" (core module (import \"env\" \"memory\" (memory 1 1 shared))))") => Refused("threads");
    "import-bare-function": "a function without an interface",
        Asking("(import \"system\" (func))") => Refused("system");
    "import-more-of-an-interface": "a function that a given interface does not have",
        Asking("(import \"wasi:io/poll@0.2.12\" (instance (export \"peek\" (func))))") => Refused("does not fit the contract");
    "import-contract-as-function": "a function behind the contract's own types",
        Asking("(import \"llm:provider/types@0.1.0\" (instance (export \"call\" (func))))") => Refused("does not fit the contract");
}
