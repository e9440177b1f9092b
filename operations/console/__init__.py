"""The console: one local web page for people who work with payments.

It listens on this machine alone and acts with the operator's own AWS credentials, through the same
signed client as the command line. So nothing is public, IAM decides what may be done, the API knows
who did it, and no session or password is kept anywhere.

=============  ====================================================================================
module         holds
=============  ====================================================================================
``command``    ``payments console``: where it listens, and who may open it
``app``        the pages' addresses
``security``   what stands between a browser and the operator's credentials
``desk``       what the pages ask of an environment
``health``     alarms, queues and dead letters
``books``      the last proof of the books
``uploads``    which files this user uploaded from this machine
``views``      how money, times and statuses are shown
``pages``      a function for each address
=============  ====================================================================================
"""
