"""Deploy: what a service is, which versions it holds, how a promotion reaches it, and the record of what it answered.

Pure of HTTP: `interfaces/http` asks a `Holder` for the current `Deployment`, calls it, and offers each answer to a `Recorder`.
"""
