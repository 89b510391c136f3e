//! What chats and files share of the machine is bounded: each module shows one attack on a shared
//! budget, and that it is refused.

mod check_deadline;
mod connections;
mod cpu;
mod host_memory;
mod names;
mod pool_totals;
mod support;
mod watched_folder;
