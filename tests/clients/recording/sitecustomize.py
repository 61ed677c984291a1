"""Loaded by the interpreter of a client before its script: each request that was answered well goes into the file `RECORD_TO`."""

import http.client
import os
import pathlib

_asked = http.client.HTTPConnection.putrequest
_answered = http.client.HTTPConnection.getresponse


def putrequest(self, method, url, *args, **kwargs):
    self.was_asked = f"{method} {url}"
    return _asked(self, method, url, *args, **kwargs)


def getresponse(self, *args, **kwargs):
    response = _answered(self, *args, **kwargs)
    if response.status < 400:
        with pathlib.Path(os.environ["RECORD_TO"]).open("a") as record:
            record.write(self.was_asked + "\n")
    return response


http.client.HTTPConnection.putrequest = putrequest
http.client.HTTPConnection.getresponse = getresponse
