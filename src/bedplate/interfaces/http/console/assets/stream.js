// One stream of changes for all tabs of this server: a browser opens six connections to it and no more.
"use strict";
const ports = new Set();
let source = null;

function tell(said) {
  for (const port of ports) port.postMessage(said);
}

function listen() {
  source = new EventSource("/changes");
  source.addEventListener("hello", (event) => tell({ word: "hello", boot: event.data }));
  source.addEventListener("changed", () => tell({ word: "changed" }));
  source.onerror = () => {
    tell({ word: "lost" });
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
  };
}

self.onconnect = (event) => {
  const port = event.ports[0];
  ports.add(port);
  port.onmessage = (message) => {
    if (message.data === "leave") ports.delete(port);
  };
  if (source === null) listen();
  else if (source.readyState === EventSource.OPEN) port.postMessage({ word: "hello", boot: "" });
};
