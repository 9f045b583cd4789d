"""People who are known elsewhere: an OpenID provider's word for who somebody is, checked, and the account here that goes with it.

`provider.py` reads what a provider says of itself, `id_tokens.py` and `identity_assertions.py` verify what it signs,
`accounts.py` decides who may come in and as whom, `relying_party.py` is the sign-in from its beginning to its end.
"""
