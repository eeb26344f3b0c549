//! The web app is embedded from `web/dist`; before it is built there is an empty folder to embed.

fn main() -> std::io::Result<()> {
    let dist = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("web/dist");
    println!("cargo:rerun-if-changed=web/dist");
    std::fs::create_dir_all(dist)
}
