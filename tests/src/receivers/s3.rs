//! A server that speaks S3, as a program of its own: `moto_server` where `tests/prerequisites.sh` has installed it. What it
//! holds is gone when it ends.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use reqwest::StatusCode;

use crate::waiting::eventually;

/// The one bucket.
pub const BUCKET: &str = "exports";

/// The server; killed when dropped.
pub struct S3Server {
    port: u16,
    program: PathBuf,
    child: Option<Child>,
    http: reqwest::Client,
}

impl S3Server {
    /// Starts on a free port, with the bucket made; `None`, and says so, where the program is not there.
    pub async fn start() -> Option<Self> {
        let program = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/python/bin/moto_server"));
        if !program.is_file() {
            eprintln!("moto is not installed (tests/prerequisites.sh): nothing is delivered to S3 here");
            return None;
        }
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let mut server = Self { port, program, child: None, http };
        server.resume().await;
        Some(server)
    }

    /// Its address, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Ends it: nobody answers at its address from now on.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("the process is there");
            child.wait().expect("the process ends");
        }
    }

    /// Begins again, empty, at the same address.
    pub async fn resume(&mut self) {
        let mut command = Command::new(&self.program);
        command.args(["-H", "127.0.0.1", "-p", &self.port.to_string()]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("moto starts");
        self.child = Some(child);
        eventually("the server that speaks S3 answers", async || {
            let made = self.http.put(format!("{}/{BUCKET}", self.url())).send().await.ok()?;
            made.status().is_success().then_some(())
        })
        .await;
    }

    /// The keys in the bucket.
    pub async fn keys(&self) -> Vec<String> {
        let listing = self.http.get(format!("{}/{BUCKET}?list-type=2", self.url())).send().await.expect("an answer");
        let text = listing.text().await.expect("a listing");
        let keys = text.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
        keys.map(|(key, _)| key.to_owned()).collect()
    }

    /// An object's bytes.
    pub async fn object(&self, key: &str) -> Option<Vec<u8>> {
        // What has an owner is shown to callers with a name, any name.
        let request = self.http.get(format!("{}/{BUCKET}/{key}", self.url()));
        let answer = request.header("authorization", "AWS test-access-key:signature").send().await.ok()?;
        if answer.status() != StatusCode::OK {
            return None;
        }
        Some(answer.bytes().await.ok()?.to_vec())
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.stop();
    }
}
