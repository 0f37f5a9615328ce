//! A real browser: headless Chromium, driven through chromedriver (W3C WebDriver).

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// How long something may take to show on a page, in milliseconds.
const TIMEOUT: u32 = 20_000;
/// The key of an element in WebDriver's answers.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A chromedriver on a free port, ended when dropped.
pub struct Driver {
    child: Child,
    address: String,
    http: reqwest::Client,
}

impl Driver {
    /// `None`, said loudly, where there is no chromedriver; under CI that is a failure.
    pub fn start() -> Option<Self> {
        let started = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut child) = started else {
            assert!(std::env::var_os("CI").is_none(), "CI without chromedriver: nothing may be left out there");
            eprintln!("\n!!! chromedriver is not installed: THE TEST IN A BROWSER IS LEFT OUT !!!\n");
            return None;
        };
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.find_map(|line| {
            let port = line.unwrap().split_once("successfully on port ")?.1.trim_end_matches('.').to_owned();
            Some(port)
        });
        let address = format!("127.0.0.1:{}", port.expect("chromedriver did not start"));
        // What it prints later has to go somewhere.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self { child, address, http: super::client::http() })
    }

    /// A browser of its own, with nothing remembered.
    pub async fn browser(&self) -> Browser {
        let profile = tempfile::tempdir().unwrap();
        let options = json!({ "args": [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1100,800",
            format!("--user-data-dir={}", profile.path().display()),
        ] });
        let wanted = json!({ "browserName": "chrome", "goog:chromeOptions": options, "timeouts": { "script": TIMEOUT },
            "goog:loggingPrefs": { "browser": "ALL" } });
        let base = format!("http://{}/session", self.address);
        let body = json!({ "capabilities": { "alwaysMatch": wanted } });
        let answer: Value = self.http.post(&base).json(&body).send().await.unwrap().json().await.unwrap();
        let session = answer["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("no browser: {answer}"));
        let (path, address) = (format!("/session/{session}"), self.address.clone());
        Browser { address, path, http: self.http.clone(), _profile: profile }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Both fail where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A window, closed when dropped.
pub struct Browser {
    address: String,
    path: String,
    http: reqwest::Client,
    _profile: TempDir,
}

impl Browser {
    async fn command(&self, command: &str, body: Value) -> Result<Value, String> {
        let url = format!("http://{}{}/{command}", self.address, self.path);
        let answer: Value = self.http.post(url).json(&body).send().await.unwrap().json().await.unwrap();
        match &answer["value"]["error"] {
            Value::String(error) => {
                Err(format!("{error}: {}", answer["value"]["message"].as_str().unwrap_or_default()))
            }
            _ => Ok(answer["value"].clone()),
        }
    }

    /// Opens a page.
    pub async fn open(&self, url: &str) {
        self.command("url", json!({ "url": url })).await.unwrap();
    }

    /// The value of an expression on the page.
    pub async fn value(&self, expression: &str) -> Value {
        let script = format!("return ({expression});");
        self.command("execute/sync", json!({ "script": script, "args": [] })).await.unwrap()
    }

    /// Waits until an expression holds on the page: looked at anew after each change of the document.
    pub async fn until(&self, expression: &str) {
        let script = format!(
            "const done = arguments[0]; const holds = () => Boolean({expression}); if (holds()) return done();
             const watcher = new MutationObserver(() => {{ if (holds()) {{ watcher.disconnect(); done(); }} }});
             watcher.observe(document, {{ subtree: true, childList: true, attributes: true, characterData: true }});"
        );
        if let Err(error) = self.command("execute/async", json!({ "script": script, "args": [] })).await {
            let page = self.value("document.body.innerText").await;
            panic!("{expression} does not come true ({error}) on the page:\n{}", page.as_str().unwrap_or_default());
        }
    }

    /// Waits until an element's text is this.
    pub async fn shows(&self, selector: &str, text: &str) {
        let (selector, text) = (json!(selector), json!(text));
        self.until(&format!(
            "[...document.querySelectorAll({selector})].some((one) => one.innerText.trim() === {text})"
        ))
        .await;
    }

    async fn element(&self, selector: &str) -> String {
        self.until(&format!("document.querySelector({})", json!(selector))).await;
        let found = self.command("element", json!({ "using": "css selector", "value": selector })).await.unwrap();
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    /// Clicks an element once it is there.
    pub async fn click(&self, selector: &str) {
        let element = self.element(selector).await;
        self.command(&format!("element/{element}/click"), json!({})).await.unwrap();
    }

    /// Types into an element; `\u{E007}` is Enter.
    pub async fn write(&self, selector: &str, text: &str) {
        let element = self.element(selector).await;
        self.command(&format!("element/{element}/value"), json!({ "text": text })).await.unwrap();
    }

    /// What the browser complained of since this was last asked: violated policies, faults of scripts.
    pub async fn complaints(&self) -> Vec<String> {
        let log = self.command("se/log", json!({ "type": "browser" })).await.unwrap();
        log.as_array().unwrap().iter().map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Chromium outlives a chromedriver that is killed, so it has to be told; and a destructor can't wait for async.
        let Ok(mut stream) = TcpStream::connect(&self.address) else { return };
        let request = format!("DELETE {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.path, self.address);
        let _ = stream.write_all(request.as_bytes()).and_then(|()| stream.read(&mut [0; 256]));
    }
}
