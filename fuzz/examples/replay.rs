//! Runs one input through one target: `replay TARGET FILE`.

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [target, file] = arguments.as_slice() else {
        panic!("usage: replay TARGET FILE");
    };
    let input = std::fs::read(file).unwrap_or_else(|error| panic!("{file}: {error}"));
    provider_fuzz::run(target, &input);
    println!("{target} holds for {file} ({} bytes)", input.len());
}
