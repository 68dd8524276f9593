//! Chromium: a page as it is in the end, or a browser that a test uses as a visitor does.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::support::folder::Folder;

/// A browser that takes longer for a step is broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns the page at `url`, as HTML, after its scripts ran for so many milliseconds.
pub(crate) fn dom(url: &str, milliseconds: u32) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/chromium");
    let output = Command::new("bash")
        .args([script, url, &milliseconds.to_string()])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "chromium, which `tests/peers/run` installs: {errors}"
    );
    String::from_utf8(output.stdout).unwrap()
}

/// A Chromium with one page, which is used over its debugging protocol: messages of JSON through a pipe.
pub(crate) struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    session: Value,
    calls: u64,
    /// What the page has reported since it was last asked.
    events: Vec<Value>,
    _profile: Folder,
}

impl Browser {
    /// Starts it; the name is that of the test.
    pub(crate) fn start(name: &str) -> Browser {
        let profile = Folder::new(&format!("chromium-{name}"));
        // It reads messages from descriptor 3 and writes them to 4. There is no sandbox for root in a container; it loads
        // only pages of the tests.
        let script = r#"exec chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
            --remote-debugging-pipe --user-data-dir="$0" 3<&0 4>&1 </dev/null >/dev/null"#;
        let mut child = Command::new("sh")
            .args(["-c", script])
            .arg(&profile.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let to = child.stdin.take().unwrap();
        let messages = BufReader::new(child.stdout.take().unwrap()).split(0);
        let (sender, from) = channel();
        std::thread::spawn(move || {
            for message in messages.map_while(Result::ok) {
                let _ = sender.send(serde_json::from_slice(&message).unwrap());
            }
        });
        let mut browser = Browser {
            child,
            to,
            from,
            session: Value::Null,
            calls: 0,
            events: Vec::new(),
            _profile: profile,
        };
        let page = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": page["targetId"], "flatten": true});
        browser.session = browser.call("Target.attachToTarget", attach)["sessionId"].clone();
        for domain in ["Page", "Network", "Log", "Runtime", "DOM"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Reads one message, and keeps it if it is an event.
    fn read(&mut self) -> Value {
        let message = self.from.recv_timeout(PATIENCE);
        let message = message.expect("chromium, which `tests/peers/run` installs, answers");
        if message.get("method").is_some() {
            self.events.push(message.clone());
        }
        message
    }

    /// Calls a method of the protocol, and returns its result.
    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.calls += 1;
        let mut message = json!({"id": self.calls, "method": method, "params": parameters});
        if !self.session.is_null() {
            message["sessionId"] = self.session.clone();
        }
        self.to.write_all(message.to_string().as_bytes()).unwrap();
        self.to.write_all(b"\0").unwrap();
        loop {
            let message = self.read();
            if message["id"] == self.calls {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].clone();
            }
        }
    }

    /// Does something that loads a page, and waits until all of that is there.
    fn load(&mut self, act: impl FnOnce(&mut Browser)) {
        self.events.clear();
        act(self);
        let is_loaded = |event: &Value| event["method"] == "Page.loadEventFired";
        while !self.events.iter().any(is_loaded) {
            self.read();
        }
    }

    /// Sets the size of the window, in pixels; a phone's if it is narrow.
    pub(crate) fn resize(&mut self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// Opens a page.
    pub(crate) fn open(&mut self, url: &str) {
        self.load(|browser| drop(browser.call("Page.navigate", json!({"url": url}))));
    }

    /// Loads the page again, as the button does.
    pub(crate) fn reload(&mut self) {
        self.load(|browser| drop(browser.call("Page.reload", json!({}))));
    }

    /// Returns what a script returns, or what its promise does.
    pub(crate) fn run(&mut self, script: &str) -> Value {
        let parameters = json!({"expression": script, "awaitPromise": true, "returnByValue": true});
        let result = self.call("Runtime.evaluate", parameters);
        assert!(
            result.get("exceptionDetails").is_none(),
            "{script}: {result}"
        );
        result["result"]["value"].clone()
    }

    /// Returns the text of the first element that a selector finds; `null` without one.
    pub(crate) fn text(&mut self, selector: &str) -> Value {
        self.run(&format!("document.querySelector({selector:?})?.innerText"))
    }

    /// Clicks into a field, selects all of it, and types.
    pub(crate) fn type_into(&mut self, selector: &str, text: &str) {
        self.click(selector);
        self.run("document.activeElement.select()");
        self.call("Input.insertText", json!({"text": text}));
    }

    /// Chooses a file for a field.
    pub(crate) fn choose(&mut self, selector: &str, file: &Path) {
        let root = self.call("DOM.getDocument", json!({}));
        let query = json!({"nodeId": root["root"]["nodeId"], "selector": selector});
        let field = self.call("DOM.querySelector", query);
        let files = json!({"nodeId": field["nodeId"], "files": [file]});
        self.call("DOM.setFileInputFiles", files);
    }

    /// Clicks with the mouse into the middle of an element.
    fn click(&mut self, selector: &str) {
        let middle = self.run(&format!(
            "(element => {{ element.scrollIntoView({{block: 'center'}}); const box = element.getBoundingClientRect(); \
             return [box.x + box.width / 2, box.y + box.height / 2] }})(document.querySelector({selector:?}))"
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({"type": kind, "x": middle[0], "y": middle[1], "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    /// Clicks on what leads to another page.
    pub(crate) fn follow(&mut self, selector: &str) {
        self.load(|browser| browser.click(selector));
    }

    /// Returns the statuses on the wire, in order, of the requests for this URL since the page was opened.
    pub(crate) fn statuses(&self, url: &str) -> Vec<u64> {
        let of = |method: &'static str| {
            let events = self.events.iter();
            let events = events.filter(move |event| event["method"] == method);
            events.map(|event| &event["params"])
        };
        let requests = of("Network.requestWillBeSent");
        let requests: Vec<&Value> = requests
            .filter(|request| request["request"]["url"] == url)
            .map(|request| &request["requestId"])
            .collect();
        of("Network.responseReceivedExtraInfo")
            .filter(|response| requests.contains(&&response["requestId"]))
            .map(|response| response["statusCode"].as_u64().unwrap())
            .collect()
    }

    /// Returns the errors in the console since the page was opened, such as what its policy forbids.
    pub(crate) fn errors(&self) -> Vec<String> {
        let entries = self.events.iter().filter(|event| {
            event["method"] == "Runtime.exceptionThrown"
                || (event["method"] == "Log.entryAdded"
                    && event["params"]["entry"]["level"] == "error")
        });
        entries.map(Value::to_string).collect()
    }

    /// Writes a picture of the window to a file (PNG), for people to look at.
    pub(crate) fn picture(&mut self, path: impl AsRef<Path>) {
        let picture = self.call("Page.captureScreenshot", json!({}));
        let picture = BASE64_STANDARD.decode(picture["data"].as_str().unwrap());
        std::fs::write(path, picture.unwrap()).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its processes end with it; it writes to its profile until then.
        let close = json!({"id": 0, "method": "Browser.close"}).to_string();
        let _ = self.to.write_all(format!("{close}\0").as_bytes());
        let start = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && start.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
