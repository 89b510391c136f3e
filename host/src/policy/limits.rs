//! How long, how large, how many: every bound that is put on a plugin, with its default.
//!
//! A bound that is met ends in a typed error, never in a hang and never in the host's memory. The defaults are meant to
//! be out of the way of every honest provider; each says why it has its value.

use std::time::Duration;

/// Declares a struct of limits: fields, defaults and one builder method a field, from one list.
macro_rules! limits {
    (
        $(#[$struct_doc:meta])*
        $name:ident {
            $(
                $(#[$doc:meta])*
                $field:ident, $with:ident: $type:ty = $constant:ident;
            )*
        }
    ) => {
        $(#[$struct_doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct $name {
            $(
                $(#[$doc])*
                #[doc = concat!("\n\nThe default is [`", stringify!($constant), "`].")]
                pub $field: $type,
            )*
        }

        impl $name {
            /// The default limits.
            #[must_use]
            pub fn new() -> Self {
                Self::default()
            }

            $(
                #[doc = concat!("Sets [`", stringify!($field), "`](Self::", stringify!($field), ").")]
                #[must_use]
                pub fn $with(mut self, value: $type) -> Self {
                    self.$field = value;
                    self
                }
            )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $constant,)* }
            }
        }
    };
}

/// A time that nobody waits for. A configured one beyond it could not be added to a clock.
pub(crate) const FOREVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// A server that has not accepted a connection in ten seconds is down or behind a firewall that drops silently.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A busy server queues a request for minutes before its first token; vLLM sends the status at once and then is silent.
pub const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(300);

/// A terminating vLLM goes silent and never closes the connection, so silence must end; a long tool call that a parser
/// holds back is silence as well, so it must not end soon.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// No answer takes longer than an hour: at 100 tokens a second that is 360,000 tokens.
pub const TOTAL_TIMEOUT: Duration = Duration::from_secs(3600);

/// A long conversation with several images, each some megabytes of base64.
pub const REQUEST_BODY_BYTES: u64 = 64 << 20;

/// What is taken of a request's body in one piece. A guest may write bodies that are never sent, and the host keeps two
/// pieces of each, which are charged when the body is made.
pub const OUTGOING_PIECE_BYTES: usize = 64 << 10;

/// What a request under way is taken to hold in the host, beside its head and its body: a connection with a read buffer of
/// 64 KiB, the response's head, pieces that were put together, and the piece that the guest has begun to read.
pub const EXCHANGE_BYTES: usize = 256 << 10;

/// Servers and proxies allow 8 to 32 KiB; twice the larger.
pub const RESPONSE_HEADER_BYTES: usize = 64 << 10;

/// vLLM sends six fields, and a gateway with all its tracing perhaps thirty.
pub const RESPONSE_HEADER_FIELDS: usize = 100;

/// A server may send any number of interim answers (`100 Continue`, `103 Early Hints`) before its own; what was seen is one.
pub const INTERIM_RESPONSES: usize = 16;

/// Most bytes of the head with which a proxy answers `CONNECT`. Proxies send a status and a few
/// fields; the page behind it is not read.
pub const PROXY_ANSWER_BYTES: usize = 16 << 10;

/// Of a name with more addresses than this, the first are as good as the last. A resolver cannot make the host knock at
/// thousands of doors.
pub const ADDRESSES_PER_NAME: usize = 16;

/// An hour of 400 tokens a second at 250 bytes each is 360 MB. Nothing is buffered, so this bounds work and not memory.
pub const RESPONSE_BODY_BYTES: u64 = 1 << 30;

/// A chat needs one request, at times a second one to count tokens.
pub const CONCURRENT_REQUESTS: usize = 4;

/// Idle connections are kept for less than the five seconds after which vLLM closes them
/// (`VLLM_HTTP_TIMEOUT_KEEP_ALIVE`), so that a request rarely meets a connection that is being closed.
pub const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// Many chats that end together each leave a connection; a small cap here means a new handshake for most of the next.
pub const POOL_IDLE_CONNECTIONS: usize = 256;

/// Of the files that a process may have open, one in this many may be a connection to a model
/// server, by default. The other half is the embedding program's: one that serves its users over
/// the network has a connection to a user for each connection to a server, and files, lookups and
/// the process that compiles need some as well.
pub const CONNECTIONS_OF_DESCRIPTORS: usize = 2;

/// Connections where the process has no limit on open files, or the system none that can be asked
/// for.
pub const CONNECTIONS_WITHOUT_DESCRIPTOR_LIMIT: usize = 16_384;

/// Of an engine's connections, one in this many may be one beyond the first of its chat. A chat
/// needs one, and a second at times ([`CONCURRENT_REQUESTS`]), so that three quarters are left for
/// chats that have none.
pub const CONNECTIONS_BEYOND_FIRST: usize = 4;

/// Of an engine's connections, one in this many may be idle. They save a handshake, and are closed
/// when they are needed.
pub const CONNECTIONS_IDLE: usize = 4;

/// Threads that look names up, over all providers of a process; an eighth of the files that it may
/// have open, if that is less. Each is held for as long as a name server is silent, half a minute
/// by default, and a process rarely has as many providers with such a name.
pub const LOOKUP_THREADS: usize = 256;

/// How long a failed lookup answers whoever asks for the name. A burst of chats then costs one
/// lookup, and a name server that is back is noticed at once by people's measure.
pub const LOOKUP_FAILURE_KEPT: Duration = Duration::from_secs(1);

/// A lookup that took longer is slow: its name does not get the last quarter of the threads. Name
/// servers that work answer within tenths of a second.
pub const LOOKUP_SLOW: Duration = Duration::from_secs(1);

/// How long a name counts as slow.
pub const LOOKUP_RECORD_KEPT: Duration = Duration::from_secs(60);

/// How long a name waits for a thread before its chat fails as overloaded: ten times what lookups
/// take that are not slow.
pub const LOOKUP_QUEUE_TIME: Duration = Duration::from_secs(1);

/// How long a lookup by a [`Resolver`](crate::egress::Resolver) of the embedder's is joined; after
/// that it is dropped, and a new one is begun. A C library gives up after 30 s at most by default.
pub const LOOKUP_TIME: Duration = Duration::from_secs(30);

/// How long a thread that looks names up stays without work.
pub const LOOKUP_THREAD_KEPT: Duration = Duration::from_secs(10);

limits! {
    /// Bounds on one provider's requests. Times and sizes are per request unless they say otherwise.
    ///
    /// A guest may ask for shorter times in its request options, never for longer ones.
    NetworkLimits {
        /// Time for name resolution, TCP and TLS together.
        connect_timeout, with_connect_timeout: Duration = CONNECT_TIMEOUT;
        /// Time from the request's last byte to the first byte of the response's *body*, not counting the connecting.
        first_byte_timeout, with_first_byte_timeout: Duration = FIRST_BYTE_TIMEOUT;
        /// Time without any byte of the body, once the first has come. Keep-alive comments count as life.
        idle_timeout, with_idle_timeout: Duration = IDLE_TIMEOUT;
        /// Time from the guest's call to the last byte of the body.
        total_timeout, with_total_timeout: Duration = TOTAL_TIMEOUT;
        /// Bytes of the bodies of all requests of one store that are under way. They are held in memory.
        request_body_bytes, with_request_body_bytes: u64 = REQUEST_BODY_BYTES;
        /// Bytes of a response's status line and header section, and of its trailers.
        response_header_bytes, with_response_header_bytes: usize = RESPONSE_HEADER_BYTES;
        /// Fields of a response's header section.
        response_header_fields, with_response_header_fields: usize = RESPONSE_HEADER_FIELDS;
        /// Interim responses (1xx) before the head of a response.
        interim_responses, with_interim_responses: usize = INTERIM_RESPONSES;
        /// Addresses of a name that are dialled, one after the other, until one accepts.
        addresses_per_name, with_addresses_per_name: usize = ADDRESSES_PER_NAME;
        /// Bytes of a response's body.
        response_body_bytes, with_response_body_bytes: u64 = RESPONSE_BODY_BYTES;
        /// Requests of one store (one chat) that are under way at the same time, their bodies included.
        concurrent_requests, with_concurrent_requests: usize = CONCURRENT_REQUESTS;
        /// How long a connection of the provider's pool stays usable after its last response.
        pool_idle_timeout, with_pool_idle_timeout: Duration = POOL_IDLE_TIMEOUT;
        /// How many idle connections the provider's pool keeps. 0 switches reuse off.
        pool_idle_connections, with_pool_idle_connections: usize = POOL_IDLE_CONNECTIONS;
    }
}

/// A request is held several times while it is built: as the contract's values, as JSON, and twice that while the JSON
/// grows. This leaves room for one of [`REQUEST_BODY_BYTES`]. Memory that a guest does not touch costs nothing.
pub const MEMORY_BYTES: usize = 384 << 20;

/// Components built by the usual toolchains have one memory, which adapters and shims import. Each reserves 4 GiB of address
/// space for each chat that there may be, so that a second one would double what a process has to have.
///
/// This, [`TABLES`], [`TABLE_ELEMENTS`], [`INSTANCES`] and [`INSTANCE_BYTES`] are also what the engine's pool has for each
/// chat: a component with more is refused when it is loaded, whatever a grant allows.
pub const MEMORIES: usize = 1;

/// One table for indirect calls per core instance that has any, and as many again.
pub const TABLES: usize = 8;

/// Ten times what a large guest's table of indirect calls has.
pub const TABLE_ELEMENTS: usize = 20_000;

/// What an element of a table takes in the host.
pub const TABLE_ELEMENT_BYTES: usize = 16;

/// Core instances inside one component: its own module, adapters and shims.
pub const INSTANCES: usize = 16;

/// Bytes of what the runtime keeps for all core instances of one component: functions that can be called indirectly, globals,
/// imports. The plugin of this project takes a thirtieth. It is in the host's memory for each chat, and no guest can make it
/// more, so that bounding it is enough; it is not charged.
pub const INSTANCE_BYTES: usize = 256 << 10;

/// Handles that a guest holds at the same time: streams, pollables, header fields. A chat needs about a dozen. What the host
/// keeps behind each is charged to the memory that chats share ([`SHARED_GUEST_MEMORY`]).
pub const RESOURCE_TABLE_ENTRIES: usize = 256;

/// Handles that the instances of one component have to resources, their own included, and that a call lends: a poll lends
/// each of its pollables. Sixteen times [`RESOURCE_TABLE_ENTRIES`]; the host keeps some 50 bytes for each.
pub const COMPONENT_HANDLES: usize = 4096;

/// What a handle is taken to keep in the host, beside the texts behind it: its entry, and a map with room for six fields.
pub const HANDLE_BYTES: usize = 1024;

/// What each store is charged for what the host keeps behind its handles, before it has any; an ordinary chat keeps a
/// third. It is also the step in which the charge grows.
pub const KEPT_BYTES: usize = 512 << 10;

/// Bytes of a batch of events that are not charged by themselves: the usual batch has some hundred.
pub const KEPT_BATCH_BYTES: usize = 64 << 10;

/// Bytes of header fields that one `fields` resource may take in the host, by wasmtime's accounting.
pub const FIELD_BYTES: usize = 128 << 10;

/// The bytes that the host allocates for what one call hands over to it: the arguments of a guest's call, and what a
/// guest's function returns, such as a batch of events. An answer in one piece is the largest that an honest provider
/// returns, and a hundred thousand tokens of text are 0.4 MB. (A request goes the other way and does not count.)
pub const HOST_CALL_FUEL: usize = 16 << 20;

/// An hour of 400 tokens a second is 1.4 million events, each of which counts [`EVENT_BASE_BYTES`] and its few bytes of
/// text: 190 MB.
pub const EVENT_BYTES: u64 = 256 << 20;

/// What an event counts beside its texts: what it takes in the guest's memory, so that events of nothing are not free.
pub const EVENT_BASE_BYTES: u64 = 128;

/// Bytes of a plugin's error message that are kept. The contract lets a server say 4 KiB; this leaves as much for the
/// provider's own words, and none for a plugin that would fill a log.
pub const MESSAGE_BYTES: usize = 8 << 10;

/// Bytes of a plugin's own word for a kind of error, and of a server's name for one.
pub const WORD_BYTES: usize = 256;

/// How often an engine's epoch moves on while a guest computes. One that goes on keeps a thread of
/// the executor for two ticks at most, unless one operation takes longer. DESIGN.md says why it is no
/// longer.
pub const EPOCH_TICK: Duration = Duration::from_micros(250);

/// How often it moves on while all guests only decode what they read: how late the first endless
/// loop is noticed. The clock is quick as soon as one is noticed, or a chat waits for a permit. A
/// thread that wakes every 8 ms took a fifth of the CPU time of a stream with an event a
/// millisecond.
pub const CALM_TICK: Duration = Duration::from_millis(64);

/// CPU time that a store may use before its guest has read anything: starting it and shaping a
/// request take a tenth. A store that has used up its credit needs a permit to compute, and is not
/// stopped.
pub const CREDIT: Duration = Duration::from_millis(2);

/// The most credit that a store can save up: what a full read of 64 KiB and its decoding take,
/// several times. Without a cap a server that works together with its plugin buys seconds.
pub const CREDIT_CAP: Duration = Duration::from_millis(50);

/// Credit for each read of a body that is handed to the guest, however many chunks it came in. An
/// event that comes alone to a busy machine takes 20 to 80 µs with all that the host does for it,
/// and an honest chat must not use up its credit.
pub const CREDIT_PER_READ: Duration = Duration::from_micros(250);

/// Credit for each byte of a read: ten times what decoding it takes.
pub const CREDIT_PER_BYTE: Duration = Duration::from_nanos(100);

/// Bytes that each store may hold whatever the others do: of linear memory, tables, and what the host holds for it. A chat
/// of ordinary length needs a third.
pub const GUEST_MEMORY_RESERVE: usize = 8 << 20;

/// Bytes that all stores of an engine may hold together beyond their reserves: ten of the largest.
pub const SHARED_GUEST_MEMORY: usize = 4 << 30;

/// Steps of the clock that a guest sees. A thousand times what a timing attack would want, and a thousandth of what a
/// time-out needs.
pub const CLOCK_STEP: Duration = Duration::from_millis(1);

/// The CPU time that one call into the guest may take; an honest one takes microseconds to milliseconds.
pub const CPU_TIME_PER_CALL: Duration = Duration::from_secs(5);

/// Bytes of a guest's stack, for all chats of an engine.
pub const STACK_BYTES: usize = 512 << 10;

limits! {
    /// Bounds on the code of one store: one chat, or one listing of models.
    SandboxLimits {
        /// Bytes of all linear memories together.
        memory_bytes, with_memory_bytes: usize = MEMORY_BYTES;
        /// Number of linear memories. No more than [`MEMORIES`], whatever is set here.
        memories, with_memories: usize = MEMORIES;
        /// Number of tables. No more than [`TABLES`], whatever is set here.
        tables, with_tables: usize = TABLES;
        /// Elements of one table. No more than [`TABLE_ELEMENTS`], whatever is set here.
        table_elements, with_table_elements: usize = TABLE_ELEMENTS;
        /// Number of core instances. No more than [`INSTANCES`], whatever is set here.
        instances, with_instances: usize = INSTANCES;
        /// Entries of the resource table.
        resource_table_entries, with_resource_table_entries: usize = RESOURCE_TABLE_ENTRIES;
        /// Bytes of one `wasi:http` fields resource.
        field_bytes, with_field_bytes: usize = FIELD_BYTES;
        /// Bytes that one call may make the host allocate for what it is handed over, arguments and results.
        host_call_fuel, with_host_call_fuel: usize = HOST_CALL_FUEL;
        /// Bytes of the events of one answer: their texts, and [`EVENT_BASE_BYTES`] for each.
        event_bytes, with_event_bytes: u64 = EVENT_BYTES;
        /// CPU time of one call from host to guest; what is over is noticed within an [`EPOCH_TICK`]. Waiting does not
        /// count.
        cpu_time_per_call, with_cpu_time_per_call: Duration = CPU_TIME_PER_CALL;
    }
}

/// Twice the processor time: a machine that is busy with other things gives a process less than a core.
pub const COMPILE_WALL_TIME: Duration = Duration::from_secs(120);

/// The plugin of this project takes less than a second. A file of 275 KB that is made for it takes a minute, and one of
/// the largest size as long as it likes.
pub const COMPILE_CPU_TIME: Duration = Duration::from_secs(60);

/// The plugin of this project takes 32 MiB. A file of 275 KB that is made for it takes 2 GiB.
pub const COMPILE_MEMORY_BYTES: u64 = 1 << 30;

/// Machine code has three to five times the size of its component: this is for one of 25 MB. It is held in the host's memory
/// as long as the plugin is, and twice while it is loaded.
pub const COMPILE_OUTPUT_BYTES: u64 = 128 << 20;

/// Each thread that compiles has a function and its memory of its own; more of them would make the memory that is needed
/// depend on the machine.
pub const COMPILE_THREADS: usize = 4;

/// A hundred times what the plugin of this project has (748).
pub const PLUGIN_FUNCTIONS: u32 = 100_000;

/// A hundred times the largest function of the plugin of this project; what is needed to compile one can grow faster than
/// its size.
pub const PLUGIN_FUNCTION_BYTES: u32 = 1 << 20;

/// Components and modules in each other. A linker makes two levels, composing components one more each time.
pub const PLUGIN_NESTING: u32 = 16;

limits! {
    /// Bounds on compiling one plugin.
    ///
    /// Those on the plugin's own numbers and sizes hold wherever it is compiled, and before it is. Times, memory and output
    /// are those of a child process ([`crate::plugin::Compiler::Child`]): nothing can bound them in the host's own.
    CompileLimits {
        /// Time from start to end of the child, however it is spent.
        wall_time, with_wall_time: Duration = COMPILE_WALL_TIME;
        /// Processor time of the child, all its threads together, rounded up to whole seconds. On Unix only.
        cpu_time, with_cpu_time: Duration = COMPILE_CPU_TIME;
        /// Bytes of memory that the child can write to. On Linux only.
        memory_bytes, with_memory_bytes: u64 = COMPILE_MEMORY_BYTES;
        /// Bytes of machine code.
        output_bytes, with_output_bytes: u64 = COMPILE_OUTPUT_BYTES;
        /// Threads of the child that compile.
        threads, with_threads: usize = COMPILE_THREADS;
        /// Number of functions, over all modules of the component.
        functions, with_functions: u32 = PLUGIN_FUNCTIONS;
        /// Bytes of one function's body.
        function_bytes, with_function_bytes: u32 = PLUGIN_FUNCTION_BYTES;
        /// Components and modules in each other, the outermost counted.
        nesting, with_nesting: u32 = PLUGIN_NESTING;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pooled_connection_is_given_up_before_vllm_closes_it() {
        assert!(NetworkLimits::new().pool_idle_timeout < Duration::from_secs(5));
    }
}
