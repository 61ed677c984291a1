"""Export: what is served here, as others run it: a signed bundle for a bare machine, an image, manifests, a model repository.

What is exported is chosen as a server chooses it (`subject.py`); every form is a folder of files that is there whole or not at all
(`written.py`). A form takes values and gives files: nothing is sent anywhere.
"""
