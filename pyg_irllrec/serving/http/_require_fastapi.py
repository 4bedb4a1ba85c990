from pyg_irllrec.utils.optional import import_optional

for _module in ('fastapi', 'prometheus_client', 'uvicorn'):
    import_optional(_module, 'pyg_irllrec.serving.http', 'serve')
