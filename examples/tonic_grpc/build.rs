//! Makes the services' traits, servers and clients of `proto/notes.proto`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    tonic_prost_build::compile_fds(protox::compile(["notes.proto"], ["proto"])?)?;
    Ok(())
}
