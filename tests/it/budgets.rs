//! What chats and files share of the machine is bounded: each module shows one attack on a shared
//! budget, and that it is refused.

mod check_deadline;
mod watched_folder;
